/** What an upstream is told of a caller that the guard has let in, and what it is not told. */
import type { Demand } from '../access/decide.ts';
import type { Caller, DoorGuard } from '../access/doors.ts';
import type { Catalogue, UpstreamController } from '../config/catalogue.ts';
import type { ForwardTokens } from '../issuer/forward-token.ts';
import { bindingFields, searchFilter } from '../protocol/custom-data.ts';
import { describeCaller } from './identity-fields.ts';
import { andFilter } from './odata-filter.ts';
import type { UpstreamAccess } from './upstream-call.ts';

/** What the route has asked of the caller. */
export type UpstreamDemand = Pick<Demand, 'audience' | 'controllers'>;

export type DescribeAccess = (
  caller: Caller,
  controller: UpstreamController,
  demand: UpstreamDemand,
) => Promise<UpstreamAccess>;

export interface UpstreamAccessOptions {
  readonly forwardTokens: ForwardTokens;
  readonly doorGuard: Pick<DoorGuard, 'isRevoked'>;
  readonly catalogue: Catalogue;
}

/** The credential stays here: a visitor's own token goes on, where no token of ours takes its place. */
export function createUpstreamAccess(options: UpstreamAccessOptions): DescribeAccess {
  return async (caller, controller, { audience, controllers }) => {
    const { forwardTokens, doorGuard, catalogue } = options;
    const required = catalogue.features.get(caller.feature)?.requiredCustomData ?? [];
    const isBound = bindingFields(required).includes(searchFilter);
    const filter = isBound ? (caller.customData[searchFilter] ?? '').trim() : '';
    const mint = () => forwardTokens.mint(caller, controllers, audience);
    return {
      caller: describeCaller(caller),
      authorization:
        controller.forward === 'jwt'
          ? { bearer: await mint() }
          : caller.visitor === undefined
            ? 'strip'
            : 'pass',
      ...(filter !== '' && { editQuery: (query: string) => andFilter(query, filter) }),
      mayContinue: () => !doorGuard.isRevoked(caller),
    };
  };
}
