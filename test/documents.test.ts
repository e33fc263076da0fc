/** The pages for people: every link leads to a file and a title that are there, and the README leads to every page. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const pages = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`),
];
const texts = new Map(pages.map(page => [page, withoutCode(readFileSync(path.join(root, page), 'utf8'))]));

describe('the links', () => {
  it.each(pages)('of %s lead somewhere', page => {
    expect(linksOf(page).filter(link => !leadsSomewhere(page, link))).toEqual([]);
  });

  it('lead from the README to every page, its decisions by their folder', () => {
    const linked = linksOf('README.md').map(link => path.posix.normalize(link.split('#', 1)[0] ?? ''));
    expect(linked).toContain('docs/decisions/');
    const missing = pages.filter(
      page => page.startsWith('docs/') && !page.startsWith('docs/decisions/') && !linked.includes(page),
    );
    expect(missing).toEqual([]);
  });

  it('are found, those that lead nowhere too', () => {
    expect([...texts.keys()].flatMap(linksOf).length).toBeGreaterThan(100);
    expect(leadsSomewhere('docs/api.md', 'none.md')).toBe(false);
    expect(leadsSomewhere('docs/api.md', 'clients.md#none')).toBe(false);
    expect(leadsSomewhere('docs/api.md', '#none')).toBe(false);
    expect(leadsSomewhere('docs/api.md', '../README.md#run-it')).toBe(true);
  });
});

/** Every target within the checkout. */
function linksOf(page: string): string[] {
  const links = (texts.get(page) ?? '').matchAll(/\]\(([^()\s]+)\)/g);
  return Array.from(links, ([, target = '']) => target).filter(target => !/^[a-z]+:/.test(target));
}

function leadsSomewhere(from: string, link: string): boolean {
  const [file = '', title] = link.split('#', 2);
  const target = file === '' ? from : path.posix.join(path.posix.dirname(from), file);
  const place = path.join(root, target);
  if (!existsSync(place) || statSync(place).isDirectory() !== target.endsWith('/')) return false;
  return title === undefined || anchorsOf(target).has(title);
}

/** The anchors that GitHub makes of a page's titles. */
function anchorsOf(page: string): ReadonlySet<string> {
  const titles = (texts.get(page) ?? '').matchAll(/^#+ (.+)$/gm);
  const anchors = new Set<string>();
  for (const [, title = ''] of titles) {
    const plain = title.replaceAll(/\]\([^)]*\)/g, '').toLowerCase();
    const anchor = plain.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-');
    let unique = anchor;
    for (let count = 1; anchors.has(unique); count += 1) unique = `${anchor}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

function withoutCode(text: string): string {
  return text.replaceAll(/^( *)```[^]*?^\1```$/gm, '');
}
