/** The admin API, as far as the examples need it: an account's access key is exchanged for a token, which does the rest. */

export interface Admin {
  /** Makes a key. Its id is what clients send as `sc_apikey`. @throws Error with what the service says */
  createKey(fields: Readonly<Record<string, unknown>>): Promise<{ id: string; apiKey: string }>;
  /** Ends the key and every token of it. @throws as above */
  revokeKey(id: string): Promise<void>;
}

export async function createAdmin(keyturn: string, accessKey: string): Promise<Admin> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_secret: accessKey });
  const answered = await ask<{ access_token: string }>(`${keyturn}/oauth/token`, { body });
  const headers = { authorization: `Bearer ${answered.access_token}`, 'content-type': 'application/json' };
  return {
    async createKey(fields) {
      const init = { headers, body: JSON.stringify(fields) };
      const { key, apiKey } = await ask<{ key: { id: string }; apiKey: string }>(
        `${keyturn}/admin/keys`,
        init,
      );
      return { id: key.id, apiKey };
    },
    async revokeKey(id) {
      await ask(`${keyturn}/admin/keys/${id}/revoke`, { headers });
    },
  };
}

async function ask<Answer>(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', ...init });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}
