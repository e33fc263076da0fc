/** The ways in which a caller may show who it is, on a route that accepts them. */
export const DOORS = ['bearer', 'sc_apikey', 'x-sf-access-key'] as const;

export type Door = (typeof DOORS)[number];
