/** Refusals that several operations have alike: said once, and referred to. */
import { STATUS_CODES } from 'node:http';
import type { DescribedResponse } from './answers.ts';
import type { DescribedOperation } from './operation.ts';

export type DocumentedOperation = Omit<DescribedOperation, 'responses'> & {
  readonly responses: Readonly<Record<string, DescribedResponse | { readonly $ref: string }>>;
};

/** @param operations those whose addresses never change first: the names come from whoever is the first to need one */
export function shareResponses(operations: readonly DescribedOperation[]): {
  readonly documented: readonly DocumentedOperation[];
  /** By name. */
  readonly responses: Readonly<Record<string, DescribedResponse>>;
} {
  const refusals = operations.map(refusalsOf);
  const counts = new Map<string, number>();
  for (const { text } of refusals.flat()) counts.set(text, (counts.get(text) ?? 0) + 1);
  const names = new Map<string, string>();
  const responses: Record<string, DescribedResponse> = {};
  const documented = operations.map((operation, place) => {
    const shared: Record<string, { $ref: string }> = {};
    for (const { status, response, text } of refusals[place] ?? []) {
      if (counts.get(text) === 1) continue;
      const name = names.get(text) ?? nameFor(status, operation, responses);
      names.set(text, name);
      responses[name] = response;
      shared[status] = { $ref: `#/components/responses/${name}` };
    }
    return replaceResponses(operation, shared);
  });
  return { documented, responses };
}

interface Refusal {
  readonly status: string;
  readonly response: DescribedResponse;
  /** The same for those that are alike. */
  readonly text: string;
}

function refusalsOf({ responses }: DescribedOperation): Refusal[] {
  return Object.entries(responses)
    .filter(([status]) => Number(status) >= 400)
    .map(([status, response]) => ({ status, response, text: JSON.stringify(response) }));
}

function nameFor(status: string, { operationId }: DescribedOperation, taken: object): string {
  const reason = (STATUS_CODES[status] ?? status).replaceAll(/[^A-Za-z0-9]/g, '');
  const owner = operationId.slice(0, 1).toUpperCase() + operationId.slice(1);
  return reason in taken ? `${reason}Of${owner}` : reason;
}

function replaceResponses(
  operation: DescribedOperation,
  shared: Readonly<Record<string, { $ref: string }>>,
): DocumentedOperation {
  return { ...operation, responses: { ...operation.responses, ...shared } };
}
