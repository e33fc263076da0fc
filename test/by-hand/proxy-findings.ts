/** What is wrong with the outcomes of one case: decisions that differ, and what a guarded server should not have seen. */
import { doorways, type DoorwayName, type Outcome } from './doorways.ts';
import type { Echo } from './echo-server.ts';
import type { Expected, ProxyCase } from './proxy-case.ts';
import { spoofed } from './proxy-trick-cases.ts';

export type Outcomes = Readonly<Partial<Record<DoorwayName, Outcome>>>;

export function findFaults(asked: ProxyCase, outcomes: Outcomes): string[] {
  return [
    ...doorways.flatMap(doorway => judgeDecision(asked, doorway, outcomes[doorway])),
    ...(['nginx', 'caddy'] as const).flatMap(proxy => {
      const outcome = outcomes[proxy];
      if (outcome === undefined) return [];
      const faults = [
        ...judgeEcho(asked, outcome, outcomes.verify),
        ...judgeAnswer(outcome, outcomes.keyturn),
      ];
      return faults.map(fault => `${proxy}: ${fault}`);
    }),
  ];
}

function judgeDecision({ expected }: ProxyCase, doorway: DoorwayName, outcome?: Outcome): string[] {
  if (outcome === undefined) return [];
  const { decision } = outcome;
  const wanted = wantedOf(expected, doorway);
  return wanted === undefined || decision === wanted
    ? []
    : [`${doorway}: ${decision}, and should be ${wanted}`];
}

function wantedOf(expected: Expected, doorway: DoorwayName): Outcome['decision'] | undefined {
  if (expected === 'pass or stricter') return doorway === 'keyturn' ? 'pass' : undefined;
  if (expected === 'own route alone') return doorway === 'keyturn' ? 'pass' : 'refuse';
  return expected;
}

/** What reached the guarded server is what was decided on, who it was, and neither credential nor lie. */
function judgeEcho(asked: ProxyCase, { echo }: Outcome, verified?: Outcome): string[] {
  if (echo === undefined) return [];
  const faults: string[] = [];
  const fault = (isWrong: boolean, text: string) => void (isWrong && faults.push(text));
  const [path] = echo.url.split('?');
  fault(path !== asked.target.split('?')[0], `the path became ${echo.url}`);
  fault(echo.method !== asked.method, `the method became ${echo.method}`);
  fault(echo.body !== asked.body, 'the body was lost');
  fault(JSON.stringify(echo).includes(spoofed), 'a field of the caller came through');
  fault(holdsSecret(asked, echo), 'the credential came through');
  const lost = parametersOf(asked.target).filter(parameter => !parametersOf(echo.url).includes(parameter));
  fault(lost.length > 0, `of the query, ${lost.join('&')} was lost`);
  const [told, truth] = [identityOf(pairsOf(echo)), identityOf(verified?.answer.headers ?? [])];
  fault(JSON.stringify(told) !== JSON.stringify(truth), `the identity became ${JSON.stringify(told)}`);
  return faults;
}

/** A page may read what it may read at Keyturn itself, and no shared cache keeps it. */
function judgeAnswer({ answer, decision }: Outcome, own?: Outcome): string[] {
  const faults: string[] = [];
  for (const name of ['access-control-allow-origin', 'access-control-allow-credentials']) {
    const [said, truth] = [answer.header(name), own?.answer.header(name)];
    if (said !== truth && !(said === undefined && answer.status === 400))
      faults.push(`${name} is ${said}, at Keyturn ${truth}`);
  }
  if (decision === 'pass' && !/no-store/.test(answer.header('cache-control') ?? ''))
    faults.push('a shared cache may keep the answer');
  if (decision === 'pass' && !/origin/i.test(answer.header('vary') ?? '')) faults.push('Vary is missing');
  if (answer.status >= 500) faults.push('a refusal became a fault');
  const challenge = answer.header('www-authenticate');
  if (answer.status === 401 && own?.status === 401 && challenge !== own.answer.header('www-authenticate'))
    faults.push(`WWW-Authenticate is ${challenge}`);
  return faults;
}

/** Names as CGI sees them; what is empty may as well be missing. */
function identityOf(fields: readonly (readonly [string, string])[]): string[] {
  return fields
    .map(([name, value]) => `${name.toLowerCase().replaceAll('_', '-')}: ${value}`)
    .filter(field => field.startsWith('x-keyturn-') && !field.endsWith(': '))
    .sort();
}

function pairsOf({ rawHeaders }: Echo): [string, string][] {
  return rawHeaders.flatMap((name, place) =>
    place % 2 === 0 ? [[name, rawHeaders[place + 1] ?? ''] as [string, string]] : [],
  );
}

/** In the query or a field. The id of a key is what its `sc_apikey` says, and stands in the identity. */
function holdsSecret(asked: ProxyCase, echo: Echo): boolean {
  const fields = pairsOf(echo).filter(([name]) => name.toLowerCase() !== 'x-keyturn-key-id');
  const seen = JSON.stringify([echo.url.split('?')[1], fields]).toLowerCase();
  return secretsOf(asked).some(secret => seen.includes(secret.toLowerCase()));
}

function secretsOf({ target, fields }: ProxyCase): string[] {
  const sent = fields.filter(([name]) => /^(?:authorization|sc_apikey|x-sf-access-key)$/i.test(name));
  const inQuery = [...new URLSearchParams(target.split('?')[1])].filter(([name]) =>
    /^sc_apikey$/i.test(name),
  );
  return [...sent, ...inQuery].map(([, value]) => value.replaceAll(/^Bearer |[{}]/g, ''));
}

function parametersOf(target: string): string[] {
  const [, query = ''] = target.split('?', 2);
  const parameters = query.split('&').filter(parameter => parameter !== '');
  return parameters.filter(parameter => !/^sc_apikey(?:=|$)/i.test(decodeURIComponent(parameter)));
}
