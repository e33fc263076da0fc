/** The admin API, as far as the example needs it: an account's access key is exchanged for a token, which makes keys. */

export interface Admin {
  /** Makes a key, and tells its id: what clients send as `sc_apikey`. @throws Error with what the service says */
  createKey(fields: Readonly<Record<string, unknown>>): Promise<string>;
}

export async function createAdmin(keyturn: string, accessKey: string): Promise<Admin> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_secret: accessKey });
  const answered = await ask<{ access_token: string }>(`${keyturn}/oauth/token`, { body });
  const headers = { authorization: `Bearer ${answered.access_token}`, 'content-type': 'application/json' };
  return {
    async createKey(fields) {
      const init = { headers, body: JSON.stringify(fields) };
      const { key } = await ask<{ key: { id: string } }>(`${keyturn}/admin/keys`, init);
      return key.id;
    },
  };
}

async function ask<Answer>(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', ...init });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}
