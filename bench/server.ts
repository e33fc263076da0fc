/** Serves one subject, named by the first argument, until its parent says stop or is gone. */
import { serveBareExchange, serveFloor, serveKoa } from './bare-servers.ts';
import { exchangeTarget, listTarget, serveEmbedded, serveOverRedis } from './service.ts';
import { serveSubject } from './subject-process.ts';
import { isSubject, type Subject, type Target } from './subjects.ts';

const [, , name = '', redisUrl = ''] = process.argv;
if (!isSubject(name)) throw new Error(`no subject: ${name}`);

await serveSubject(() => serve(name));

async function serve(subject: Subject): Promise<Target> {
  switch (subject) {
    case 'node:http':
      return serveFloor();
    case 'koa':
      return serveKoa('none');
    case 'koa, token sent':
      return serveKoa('ignored');
    case 'koa, guarded':
      return serveKoa('guarded');
    case 'list, guarded':
      return listTarget(await serveEmbedded());
    case 'exchange, embedded':
      return exchangeTarget(await serveEmbedded());
    case 'exchange, redis':
      return exchangeTarget(await serveOverRedis(redisUrl));
    case 'exchange, bare':
      return serveBareExchange(redisUrl);
  }
}
