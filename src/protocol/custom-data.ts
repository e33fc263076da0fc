/** Fields of a key's custom data that mean something here; all others are handed on as they are. */

/** Of an OData key: an expression that is anded into the caller's `$filter`. */
export const searchFilter = 'Search Filter';

/**
 * The fields that restrict what is read with a key, by those that its feature requires: a feature that requires some is for
 * keys of OData, and there the filter binds wherever it stands.
 */
export function bindingFields(required: readonly string[]): readonly string[] {
  return required.length === 0 ? [] : [...required, searchFilter];
}
