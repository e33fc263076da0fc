/** One request, judged: what the guard decides, and how a refusal is answered. Every framework's middleware asks here. */
import type { DoorDecision, DoorDemand, DoorGuard, DoorRequest } from '../access/doors.ts';
import { doorDenialResponse, type DoorDenialResponse } from './door-denial.ts';

/** What a route asks, and how its clients read a refusal. */
export interface ResourceDemand extends DoorDemand {
  /** A GraphQL client reads `errors`, and nothing else. */
  readonly isGraphql: boolean;
}

export interface JudgeOptions {
  readonly doorGuard: Pick<DoorGuard, 'authorize'>;
  /** The address of the protected-resource metadata (RFC 9728). */
  readonly resourceMetadata: string;
}

/** The refusal is the answer; undefined where the caller is let in. */
type Judgement =
  | { readonly decision: DoorDecision & { readonly allowed: true }; readonly refusal?: undefined }
  | { readonly decision: DoorDecision & { readonly allowed: false }; readonly refusal: DoorDenialResponse };

/**
 * Rejects only on a fault, which a server answers as one.
 *
 * @param address of the caller, where it is known
 */
export async function judgeRequest(
  request: DoorRequest,
  demand: ResourceDemand,
  address: string,
  { doorGuard, resourceMetadata }: JudgeOptions,
): Promise<Judgement> {
  const decision = await doorGuard.authorize(request, demand, address);
  if (decision.allowed) return { decision };
  return { decision, refusal: doorDenialResponse(decision, { resourceMetadata, ...demand }) };
}
