/** Reading bodies, bounded: bytes, parameters and nesting. Nothing is inflated, nothing is guessed. */
import type { IncomingMessage } from 'node:http';
import { Problem } from '../protocol/errors.ts';
import { parseStrictJson, parseStrictObject } from '../protocol/json.ts';

/**
 * The body as text.
 *
 * @param limit bytes
 * @throws {Problem} `payload_too_large`, `unsupported_media_type` (an encoded body), `malformed_request` (not UTF-8)
 */
export async function readText(req: IncomingMessage, limit: number): Promise<string> {
  const encoding = req.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new Problem('unsupported_media_type', 'Send the body without Content-Encoding.', {
      headers: closing,
    });
  }
  if (Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
  const bytes = await collect(req, limit);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Problem('malformed_request', 'The body is not UTF-8.', { cause });
  }
}

/** @throws {Problem} `malformed_json` */
export function parseJsonObject(text: string): Record<string, unknown> {
  return refuseMalformed(
    () => parseStrictObject(text),
    'Send one JSON object, without duplicate member names.',
  );
}

/** @throws {Problem} `malformed_json` */
export function parseJson(text: string): unknown {
  return refuseMalformed(() => parseStrictJson(text));
}

function refuseMalformed<T>(parse: () => T, detail?: string): T {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new Problem('malformed_json', detail, { cause });
    throw cause;
  }
}

/** The media type in lower case, without parameters; undefined where there is none. */
export function mediaType(req: IncomingMessage): string | undefined {
  const header = req.headers['content-type'];
  return header?.split(';', 1)[0]!.trim().toLowerCase();
}

/** Whether the `charset` parameter, where there is one, is UTF-8 or its subset ASCII. */
export function isUtf8(req: IncomingMessage): boolean {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]*)/i.exec(req.headers['content-type'] ?? '')?.[1];
  return charset === undefined || /^(?:utf-?8|us-ascii)$/i.test(charset);
}

/** What is still to come is not read: the connection ends with the answer. */
const closing = { Connection: 'close' };

function tooLarge(limit: number): Problem {
  return new Problem('payload_too_large', `Send at most ${limit} bytes.`, { headers: closing });
}

function collect(req: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) {
        req.pause();
        reject(tooLarge(limit));
      } else chunks.push(chunk);
    });
    req.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    req.once('error', cause => reject(new Problem('malformed_request', 'The body broke off.', { cause })));
    req.once('aborted', () => reject(new Problem('malformed_request', 'The body broke off.')));
  });
}
