/**
 * The deployment: one record that is written once, when a store is taken into service, and never again. Its absence
 * never means "new" to a running instance: a store that comes back empty, or as another one, is a fault.
 */
import { randomUUID } from 'node:crypto';
import { type Clock, type Store, StoreUnavailable } from '../store/store.ts';
import { RecordNotAuthentic, type Records } from './records.ts';
import type { Vault } from './vault.ts';

export interface Deployment {
  /** Changes with every new deployment, never within one. */
  readonly epoch: string;
  readonly createdAt: number;
  /** The pepper that hashes at present; one that is not configured would refuse every key. */
  readonly pepper: string;
  /** Who is making, or has made, the first owner: once, and never again, whatever becomes of that account. */
  readonly claim?: { readonly id: string; readonly at: number; readonly done: boolean };
}

/** The store came back empty, or as another deployment's. Nothing that it says, or does not say, may be relied upon. */
export class DeploymentLost extends StoreUnavailable {}

/** The store holds a deployment, but the configured secrets are not its secrets. */
export class WrongSecrets extends Error {
  override readonly name = 'WrongSecrets';
}

/**
 * Reads the deployment, and notes a new first pepper in it.
 *
 * @returns undefined where the store holds none
 * @throws {WrongSecrets} where the master key or the pepper is not the deployment's
 */
export async function readDeployment(records: Records, vault: Vault): Promise<Deployment | undefined> {
  const stored = await records.get<Deployment>(recordName).catch(explainWrongMasterKey);
  if (stored === undefined) return undefined;
  const { value } = stored;
  if (!vault.pepperIds.includes(value.pepper)) {
    throw new WrongSecrets(
      `the API keys are hashed with the pepper ${value.pepper}, which is not among KEYTURN_PEPPER (${vault.pepperIds.join(', ')})`,
    );
  }
  if (value.pepper === vault.pepperId) return value;
  const renewed = { ...value, pepper: vault.pepperId };
  // Another instance may have noted it first: then both wrote the same.
  await records.replace(recordName, stored, renewed);
  return renewed;
}

/** Takes an empty store into service. False where it has been already: of two who try at once, one wins. */
export async function createDeployment(records: Records, vault: Vault, clock: Clock): Promise<boolean> {
  const deployment: Deployment = { epoch: randomUUID(), createdAt: clock(), pepper: vault.pepperId };
  return records.create(recordName, deployment);
}

/**
 * Claims the right to make the first owner: of many who try, one has it at a time.
 *
 * @param patience milliseconds after which a claim that was not finished counts as broken off
 * @returns the claim, or why there is none
 */
export async function claimDeployment(
  records: Records,
  clock: Clock,
  patience: number,
): Promise<{ claim: string } | 'done' | 'under way'> {
  const stored = await records.get<Deployment>(recordName);
  if (stored === undefined) throw new StoreUnavailable('the store holds no deployment');
  const { claim } = stored.value;
  if (claim?.done === true) return 'done';
  if (claim !== undefined && clock() - claim.at < patience) return 'under way';
  const id = randomUUID();
  const claimed: Deployment = { ...stored.value, claim: { id, at: clock(), done: false } };
  return (await records.replace(recordName, stored, claimed)) === undefined ? 'under way' : { claim: id };
}

/** Finishes a claim. False where it was taken over in the meantime. */
export async function finishClaim(records: Records, id: string): Promise<boolean> {
  const stored = await records.get<Deployment>(recordName);
  const claim = stored?.value.claim;
  if (stored === undefined || claim?.id !== id || claim.done) return false;
  const done = { ...stored.value, claim: { ...claim, done: true } };
  return (await records.replace(recordName, stored, done)) !== undefined;
}

/**
 * Makes sure that the store still is the one that this instance started with.
 *
 * @throws {DeploymentLost} where it is not
 */
export async function confirmDeployment(store: Store, epoch: string): Promise<void> {
  const text = await store.get(recordName);
  if (text === undefined || !text.includes(`"epoch":"${epoch}"`)) {
    throw new DeploymentLost(
      'the store is not the one that this instance was started on: it came back empty, or as another',
    );
  }
}

const recordName = 'deployment';

function explainWrongMasterKey(error: unknown): never {
  if (!(error instanceof RecordNotAuthentic)) throw error;
  throw new WrongSecrets('the store was written under another master key than KEYTURN_MASTER_KEY', {
    cause: error,
  });
}
