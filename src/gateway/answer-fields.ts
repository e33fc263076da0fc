/** Decides which header fields of an upstream's answer reach the caller: no framing, no CORS, and no shared cache. */
import type { IncomingMessage } from 'node:http';
import { isOwnCookie } from './request-fields.ts';
import { connectionFieldsOf, eachField, foldName } from './header-fields.ts';
import type { AnswerField, UpstreamAnswer } from './upstream-call.ts';

/** @param ms how long the upstream took */
export function forwardedAnswer(response: IncomingMessage, method: string, ms: number): UpstreamAnswer {
  const status = response.statusCode ?? 0;
  const isEmpty = method === 'HEAD' || status === 204 || status === 205 || status === 304;
  if (isEmpty) response.resume();
  return { status, fields: answerFields(response), body: isEmpty ? undefined : response, ms };
}

function answerFields({ rawHeaders, headers }: IncomingMessage): AnswerField[] {
  const endsHere = connectionFieldsOf(rawHeaders);
  const fields = new Map<string, { name: string; values: string[] }>();
  for (const { name, lowerName, value } of eachField(rawHeaders)) {
    if (endsHere(lowerName) || isWithheld(lowerName)) continue;
    if (lowerName === 'content-length' && headers['transfer-encoding'] !== undefined) continue;
    if (lowerName === 'set-cookie' && isOwnCookie(value)) continue;
    const known = fields.get(lowerName);
    if (known === undefined) fields.set(lowerName, { name, values: [value] });
    else known.values.push(value);
  }
  const isMarked = fields.has('expires') || fields.has('pragma');
  const caching = privateCaching(fields.get('cache-control')?.values, isMarked);
  fields.set('cache-control', { name: 'Cache-Control', values: [caching] });
  return [...fields.values()];
}

/** CORS is the gateway's; so is what it says of identities, of caches before it, and of where else it can be reached. */
function isWithheld(name: string): boolean {
  return (
    name.startsWith('access-control-') ||
    foldName(name).startsWith('x-keyturn-') ||
    name.endsWith('cdn-cache-control') ||
    name === 'surrogate-control' ||
    name === 'alt-svc'
  );
}

/** Never a shared cache: it would hand out one caller's answer to another, and after the key was revoked. */
function privateCaching(values: readonly string[] | undefined, isMarked: boolean): string {
  if (values === undefined) return isMarked ? 'private' : 'private, no-store';
  const directives = values.join(',').match(/(?:[^,"]|"(?:\\.|[^"\\])*")+/g) ?? [];
  const kept = directives
    .map(directive => directive.trim())
    .filter(
      directive => directive !== '' && !/^(?:public|private|s-maxage|proxy-revalidate)\b/i.test(directive),
    );
  return ['private', ...kept].join(', ');
}
