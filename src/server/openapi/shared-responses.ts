/** Refusals that several operations have alike: said once, and referred to. */
import { STATUS_CODES } from 'node:http';
import type { DescribedResponse } from './answers.ts';
import type { DescribedOperation } from './operation.ts';

export interface Shared {
  /** By the texts of the responses that they stand for. */
  readonly references: ReadonlyMap<string, { $ref: string }>;
  readonly responses: Readonly<Record<string, DescribedResponse>>;
}

/** @param operations those whose addresses never change first: the names come from whoever is the first to need one */
export function shareResponses(operations: readonly DescribedOperation[]): Shared {
  const counts = new Map<string, number>();
  const all = operations.flatMap(({ operationId, responses }) =>
    Object.entries(responses)
      .filter(([status]) => Number(status) >= 400)
      .map(([status, response]) => ({ operationId, status, response, text: JSON.stringify(response) })),
  );
  for (const { text } of all) counts.set(text, (counts.get(text) ?? 0) + 1);
  const references = new Map<string, { $ref: string }>();
  const responses: Record<string, DescribedResponse> = {};
  for (const { operationId, status, response, text } of all) {
    if (references.has(text) || counts.get(text) === 1) continue;
    const reason = (STATUS_CODES[status] ?? status).replaceAll(/[^A-Za-z0-9]/g, '');
    const owner = operationId.slice(0, 1).toUpperCase() + operationId.slice(1);
    const name = reason in responses ? `${reason}Of${owner}` : reason;
    responses[name] = response;
    references.set(text, { $ref: `#/components/responses/${name}` });
  }
  return { references, responses };
}
