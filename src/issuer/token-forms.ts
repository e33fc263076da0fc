/** In which form an audience wants its tokens: the algorithm, and the `typ` of the header. */
import type { Catalogue } from '../config/catalogue.ts';
import type { SigningAlgorithm, TokenType } from '../protocol/token-header.ts';

export interface TokenForm {
  readonly alg: SigningAlgorithm;
  readonly typ: TokenType;
}

export type TokenForms = (audience: string) => TokenForm;

/** @param signingAlg of audiences that ask for none */
export function createTokenForms({ audiences }: Catalogue, signingAlg: SigningAlgorithm): TokenForms {
  return audience => {
    const { alg = signingAlg, typ = 'at+jwt' } = audiences.get(audience) ?? {};
    return { alg, typ };
  };
}
