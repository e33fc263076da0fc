/**
 * `npm run check:browser`: asks Keyturn from pages of a real browser, of an origin that is listed, of one that is not and of
 * the origin `null`, and fails where a page can read more, or less, than it may.
 */
import { startService } from '../support/service.ts';
import { until } from '../support/until.ts';
import { type BrowserPages, findBrowser, openPages, type PageKind, pageKinds } from './browser-pages.ts';
import {
  type BrowserRequest,
  connections,
  createIdentity,
  layout,
  listCommonRequests,
  listKeyRequests,
  listStrangerRequests,
  type Reading,
} from './browser-requests.ts';

const browser = findBrowser();
if (browser === undefined) {
  say('not installed: a browser. On Debian: apt-get install chromium-headless-shell');
  process.exitCode = 1;
} else {
  process.exitCode = (await checkAll(browser)) === 0 ? 0 : 1;
}

/** Resolves with the number of faults. */
async function checkAll(executable: string): Promise<number> {
  const service = await startService();
  const pages = await openPages(executable);
  const check = (heading: string, requests: readonly BrowserRequest[]) =>
    checkTable(heading, requests, pages, service.log);
  try {
    const { url } = service;
    const listing = await createIdentity(service, [pages.origins.listed]);
    let faults = await check('a key that lists its origin', listKeyRequests(url, listing, 'nothing'));
    faults += await check('nobody known', listStrangerRequests(url, false));
    faults += await check(
      'open to all, or to none',
      listCommonRequests(url, await service.token(service.ownerKey)),
    );

    const open = await createIdentity(service, ['*']);
    // What the union of origins says is remembered for a second.
    await until('every origin is in the union', () => isListed(url, 'https://anyone.example'));
    faults += await check('a key with *', listKeyRequests(url, open, 200));
    faults += await check('the key that lists its origin, again', listKeyRequests(url, listing, 'nothing'));
    faults += await check('nobody known, again', listStrangerRequests(url, true));
    say(`\n${faults} faults`);
    return faults;
  } finally {
    await pages.stop();
    await service.stop();
  }
}

/** Whether a page of that origin may call what both kinds of requests call. */
async function isListed(url: string, origin: string): Promise<boolean> {
  const headers = { origin, 'access-control-request-method': 'GET' };
  const answers = await Promise.all(
    [layout, connections].map(path => fetch(url + path, { method: 'OPTIONS', headers })),
  );
  return answers.every(answer => answer.headers.get('access-control-allow-origin') === origin);
}

async function checkTable(
  heading: string,
  requests: readonly BrowserRequest[],
  pages: BrowserPages,
  log: readonly string[],
): Promise<number> {
  let faults = 0;
  say(`\n${rowText(heading, pageKinds)}`);
  for (const request of requests) {
    const cells: string[] = [];
    for (const kind of pageKinds) {
      const { text, isWrong } = await checkCell(request, kind, pages, log);
      cells.push(isWrong ? `${text} FAULT` : text);
      faults += isWrong ? 1 : 0;
    }
    say(rowText(request.title, cells));
  }
  return faults;
}

/** Asks without cookies and with them: one text where both read the same. */
async function checkCell(
  request: BrowserRequest,
  kind: PageKind,
  pages: BrowserPages,
  log: readonly string[],
): Promise<{ text: string; isWrong: boolean }> {
  const [plain, withCookies] = [
    await readAs('omit', request, kind, pages, log),
    await readAs('include', request, kind, pages, log),
  ];
  const wanted = kind === 'listed' || kind === 'other' ? request[kind] : request.nobody;
  const isWrong = plain.reading !== wanted || withCookies.reading !== (request.isPublic ? 'nothing' : wanted);
  const text = plain.text === withCookies.text ? plain.text : `${plain.text} | ${withCookies.text}`;
  return { text, isWrong };
}

/** What the page reads, and behind it what Keyturn had answered: the preflight first. */
async function readAs(
  credentials: 'omit' | 'include',
  request: BrowserRequest,
  kind: PageKind,
  pages: BrowserPages,
  log: readonly string[],
): Promise<{ reading: Reading; text: string }> {
  const before = log.length;
  const answer = await pages.fetchFrom(kind, { ...request, credentials });
  const isRead = answer !== undefined && answer.status !== 0 && answer.body !== '';
  const reading = isRead ? answer.status : 'nothing';
  const answered = log
    .slice(before)
    .map(line => JSON.parse(line) as { msg?: string; method?: string; status?: number })
    .filter(({ msg }) => msg === 'request')
    .map(({ method, status }) => `${method === 'OPTIONS' ? 'preflight ' : ''}${status}`);
  const challenge = answer?.headers.includes('www-authenticate') === true ? '+challenge' : '';
  return { reading, text: `${reading}${challenge} (${answered.join(', ')})` };
}

function rowText(title: string, cells: readonly string[]): string {
  return `${title.padEnd(37)} ${cells.map(cell => cell.padEnd(36)).join('')}`.trimEnd();
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
