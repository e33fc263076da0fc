/** What a caller is told of values that are not acceptable. */
import { describe, expect, it } from 'vitest';
import { invalidValues } from '../../src/protocol/errors.ts';

describe('values that are not acceptable', () => {
  it('are named each, by where it stands, in the detail and as a list', () => {
    const errors = [
      { pointer: '/name', detail: 'is required' },
      { pointer: '/expiresAt', detail: 'The time is past.' },
      { pointer: '', detail: 'The token would be too large.' },
    ];
    expect(invalidValues(errors)).toMatchObject({
      code: 'validation_failed',
      detail: '/name: is required; /expiresAt: The time is past. The token would be too large.',
      errors,
    });
  });

  it('of a query are a malformed request', () => {
    const errors = [{ pointer: '/limit', detail: 'is not acceptable' }];
    const { code, status } = invalidValues(errors, 'malformed_request');
    expect([code, status]).toEqual(['malformed_request', 400]);
  });
});
