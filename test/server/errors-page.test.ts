/** docs/errors.md has a row for every error there is, with the status that it has. */
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { oauthErrors, problems } from '../../src/protocol/errors.ts';
import { describeOAuth } from '../../src/server/openapi/oauth-operations.ts';

const page = await readFile('docs/errors.md', 'utf8');
const sections = page.split(/^## /m).map(text => [text.slice(0, text.indexOf('\n')), text] as const);

/** `status code` of each row under the titles, in the order of the page. */
function rowsUnder(...titles: string[]): string[] {
  const texts = sections.filter(([title]) => titles.includes(title)).map(([, text]) => text);
  expect(texts).toHaveLength(titles.length);
  const rows = texts.join('\n').matchAll(/^\| (\d{3}) \| `(\w+)` \| [^|]+ \|$/gm);
  return Array.from(rows, ([, status, code]) => `${status} ${code}`);
}

function pairsOf(list: Readonly<Record<string, { readonly status: number }>>): string[] {
  return Object.entries(list).map(([code, { status }]) => `${status} ${code}`);
}

describe('docs/errors.md', () => {
  it('has every problem, once, under its status', () => {
    expect(rowsUnder('On guarded routes', 'Everywhere').toSorted()).toEqual(pairsOf(problems).toSorted());
  });

  it('has what the token endpoint answers, and that it takes POST alone', () => {
    const answers = describeOAuth().find(({ id }) => id === 'requestToken')?.answers ?? [];
    const errors = answers.flatMap(({ status, code }) => (code === undefined ? [] : [`${status} ${code}`]));
    expect(rowsUnder('At the token endpoint').toSorted()).toEqual(
      [...errors, '405 invalid_request'].toSorted(),
    );
  });

  it('has every error of the OAuth endpoints, under its own status', () => {
    const rows = rowsUnder('At the token endpoint', 'At introspection and the events of revocations');
    expect(rows).toEqual(expect.arrayContaining(pairsOf(oauthErrors)));
  });

  it('has no row that is not read here', () => {
    const all = rowsUnder(
      'At the token endpoint',
      'At introspection and the events of revocations',
      'On guarded routes',
      'Everywhere',
    );
    expect(page.match(/^\| \d{3}/gm)).toHaveLength(all.length);
  });
});
