/** Fields of a key's custom data that mean something here; all others are handed on as they are. */

/** Of an OData key: an expression that is anded into the caller's `$filter`. */
export const searchFilter = 'Search Filter';
