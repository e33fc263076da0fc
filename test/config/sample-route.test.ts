import { describe, expect, it } from 'vitest';
import type { Catalogue } from '../../src/config/catalogue.ts';
import { loadSettings } from '../../src/config/load.ts';
import { findSample } from '../../src/config/sample-route.ts';
import { welcomeText } from '../../src/cli/welcome.ts';

const { catalogue } = loadSettings({});

function withFeatures(...names: string[]): Catalogue {
  const { features } = catalogue;
  return { ...catalogue, features: new Map([...features].filter(([name]) => names.includes(name))) };
}

describe('a sample', () => {
  it('is of the default catalogue what the documents say', () => {
    expect(findSample(catalogue)).toEqual({ feature: 'connections', path: '/v2/connections' });
  });

  it.each([
    [['account-owner', 'developer-templates'], { feature: 'developer-templates', path: '/v3/templates' }],
    // Its calls need to know a name, or another door.
    [['services-client'], { feature: 'services-client', path: undefined }],
    [['services-client', 'connections'], { feature: 'connections', path: '/v2/connections' }],
    // A key of it needs to name a database.
    [['odata-items'], undefined],
    [['account-owner'], undefined],
  ])('of %j is %j', (names, expected) => {
    expect(findSample(withFeatures(...names))).toEqual(expected);
  });

  it('is shown as far as there is one', () => {
    const [ownerKey, sampleKey] = ['kt_owner', 'kt_sample'];
    const feature = 'orders';
    const whole = welcomeText('http://x', { ownerKey, sampleKey, sample: { feature, path: '/orders' } });
    expect(whole).toMatch(/curl .*\/oauth\/token[\s\S]*curl .*\/orders [\s\S]*curl .*\/oauth\/revoke/);
    const short = welcomeText('http://x', { ownerKey, sampleKey, sample: { feature, path: undefined } });
    expect(short.match(/^(?:TOKEN|curl)/gm)).toHaveLength(2);
    const none = welcomeText('http://x', { ownerKey, sample: undefined });
    expect(none.match(/kt_\w+/g)).toEqual(['kt_owner']);
  });
});
