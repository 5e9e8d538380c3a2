import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** Who may do what with the repositories that are served, by `USER:PASSWORD`. */
export type Rights = Readonly<Record<string, 'read' | 'write'>>;

export interface GitOverHttps {
  port: number;
  /** Certificate of the CA that signed the server's, in PEM. */
  caFile: string;
  close: () => Promise<void>;
}

/**
 * Serves the bare repositories below a folder over https on loopback with `git http-backend`, as a git host does: by
 * name and password, and with 403 for a push by somebody who may only read.
 * @param scratch for key and certificate
 */
export async function serveGitOverHttps(
  root: string,
  scratch: string,
  rights: Rights,
): Promise<GitOverHttps> {
  const key = join(scratch, 'https-key.pem');
  const caFile = join(scratch, 'https-certificate.pem');
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-nodes',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-days',
        '2',
      ],
      ...['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', caFile],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const server = createServer({ key: readFileSync(key), cert: readFileSync(caFile) }, (request, response) => {
    const credentials = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const right = rights[Buffer.from(credentials, 'base64').toString()];
    const writes = (request.url ?? '').includes('git-receive-pack');
    if (right === undefined) response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    else if (writes && right === 'read') response.writeHead(403).end('this token may only read\n');
    else answer(root, request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    caFile,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Hands a request to `git http-backend`, which speaks CGI (RFC 3875). */
function answer(root: string, request: IncomingMessage, response: ServerResponse): void {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const header = (name: string) => String(request.headers[name] ?? '');
  const backend = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REMOTE_USER: 'somebody',
      REQUEST_METHOD: request.method,
      PATH_INFO: decodeURIComponent(path),
      QUERY_STRING: query,
      CONTENT_TYPE: header('content-type'),
      CONTENT_LENGTH: header('content-length'),
      HTTP_CONTENT_ENCODING: header('content-encoding'),
      HTTP_GIT_PROTOCOL: header('git-protocol'),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(backend.stdin);
  const chunks: Buffer[] = [];
  backend.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  backend.on('close', () => {
    const output = Buffer.concat(chunks);
    const end = output.indexOf('\r\n\r\n');
    const headers = output
      .subarray(0, end)
      .toString()
      .split('\r\n')
      .map((line) => line.split(': ') as [string, string]);
    const status = headers.find(([name]) => name === 'Status')?.[1] ?? '200';
    for (const [name, value] of headers) if (name !== 'Status') response.setHeader(name, value);
    response.writeHead(Number.parseInt(status, 10)).end(output.subarray(end + 4));
  });
}
