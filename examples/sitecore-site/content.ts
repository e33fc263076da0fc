/** What the site says: two pages in two languages, the phrases of its dictionary, and its items. */

export interface Page {
  readonly name: string;
  readonly displayName: string;
  readonly fields: Readonly<Record<string, { readonly value: string }>>;
  readonly placeholders: Readonly<Record<string, readonly object[]>>;
}

const titles: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '/': { en: 'Welcome', da: 'Velkommen' },
  '/about us': { en: 'About us', da: 'Om os' },
};

/** The page at the path, or null as the layout service has it. */
export function findPage(path: string, language: string): Page | null {
  const title = titles[path]?.[language];
  if (title === undefined) return null;
  const fields = { title: { value: title } };
  const block = { componentName: 'ContentBlock', fields: { heading: { value: title } } };
  return {
    name: path === '/' ? 'home' : path.slice(1),
    displayName: title,
    fields,
    placeholders: { main: [block] },
  };
}

export function placeholderOf(page: Page | null, name: string): readonly object[] {
  return page?.placeholders[name] ?? [];
}

const phrases: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  en: { search: 'Search', cart: 'Cart' },
  da: { search: 'Søg', cart: 'Kurv' },
};

export function findPhrases(language: string): Readonly<Record<string, string>> {
  return phrases[language] ?? {};
}

/** As OData names them. */
export const items = Object.entries(titles).map(([path, title], index) => ({
  Id: `00000000-0000-0000-0000-00000000000${index + 1}`,
  Name: path === '/' ? 'home' : path.slice(1),
  DisplayName: title['en'],
  Language: 'en',
  IsLatestVersion: true,
}));
