import { UsageError } from '../../src/domain/errors';
import { parseUpstreamUrl, shownUrl } from '../../src/domain/upstream-url';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const test = suite('URL of the upstream');

const refusal = (text: string) => thrown(() => parseUpstreamUrl(text), UsageError);

test('URLs over ssh, in both forms', () => {
  const cases: [url: string, user: string | undefined, host: string, port: number][] = [
    ['ssh://git@github.com/example/shop.git', 'git', 'github.com', 22],
    ['ssh://git@GitHub.com:2222/~ada/shop.git', 'git', 'github.com', 2222],
    ['ssh://example.org/srv/shop.git', undefined, 'example.org', 22],
    ['ssh://git@[fe80::1]:7999/shop', 'git', 'fe80::1', 7999],
    ['git@github.com:example/shop.git', 'git', 'github.com', 22],
    ['ada.b+c-d_e@host_1:/srv/a%20b.git', 'ada.b+c-d_e', 'host_1', 22],
    ['git@[::1]:shop', 'git', '::1', 22],
    ['git@127.0.0.1:22/shop', 'git', '127.0.0.1', 22],
  ];
  for (const [url, user, host, port] of cases) {
    assert.equal(parseUpstreamUrl(url), { kind: 'ssh', user, host, port, url });
    assert.is(shownUrl(parseUpstreamUrl(url)), url);
  }
});

test('URLs over https, whose credentials are shown nowhere', () => {
  const cases: [url: string, host: string, shown: string][] = [
    ['https://github.com/example/shop.git', 'github.com', 'https://github.com/example/shop.git'],
    ['https://Git.example:8443/a/@b', 'git.example', 'https://Git.example:8443/a/@b'],
    ['https://ada:s3cret@git.example/a', 'git.example', 'https://REDACTED@git.example/a'],
    ['https://ghp_s3cret@git.example/a@b', 'git.example', 'https://REDACTED@git.example/a@b'],
  ];
  for (const [url, host, shown] of cases) {
    assert.equal(parseUpstreamUrl(url), { kind: 'https', host, url, shown });
    assert.is(shownUrl(parseUpstreamUrl(url)), shown);
  }
});

const bad: Record<string, [url: string, why: RegExp][]> = {
  'I76 a remote helper': [
    ['ext::sh -c true', /no spaces/],
    ['ext::sh%20-c', /would run a program/],
    ['fd::17', /would run a program/],
    ['ssh::git@host:a', /would run a program/],
  ],
  'I77 an option': [
    ['--upload-pack=touch', /for an option/],
    ['--upload-pack=touch me', /for an option/],
    ['-oProxyCommand=x', /for an option/],
    ['ssh://-oProxyCommand=x/a', /malformed/],
    ['ssh://git@-oProxyCommand=x/a', /malformed/],
    ['ssh://-l@host/a', /malformed/],
    ['-l@host:a', /for an option/],
    ['git@-host:a', /malformed/],
    ['git@host:-a', /path begins with `-`/],
    ['https://-host/a', /malformed/],
  ],
  'a folder of this host': [
    ['/srv/git/shop.git', /names no user and host/],
    ['../shop', /names no user and host/],
    ['shop', /names no user and host/],
    ['file:///srv/shop.git', /a file of this host/],
    ['file:/srv/shop.git', /a file of this host/],
    ['file:a@b:c', /a file of this host/],
  ],
  'what is not encrypted': [
    ['http://host/a', /http is not encrypted/],
    ['HTTP://host/a', /http is not encrypted/],
    ['git://host/a', /git's own protocol is not encrypted/],
    ['ftp://host/a', /ftp is not encrypted/],
    ['rsync://host/a', /no such protocol/],
    ['git+ssh://host/a', /no such protocol/],
  ],
  'what is malformed': [
    ['', /1 to 2000/],
    [`git@host:${'a'.repeat(2000)}`, /1 to 2000/],
    ['git@host:a b', /no spaces/],
    ['git@host:a\nb', /no spaces/],
    ['git@host:\u00e9', /printable ASCII/],
    ['git@host:a\u0000', /printable ASCII/],
    ['github.com:example/shop', /names no user/],
    ['git@host', /malformed/],
    ['git@host:', /names no repository/],
    ['git@host:/', /names no repository/],
    ['ssh://git@host', /malformed/],
    ['ssh://git@host/', /names no repository/],
    ['ssh:///shop', /malformed/],
    ['https://host', /malformed/],
    ['https://host/', /names no repository/],
    ['ssh://git@host:0/a', /port is between/],
    ['ssh://git@host:65536/a', /port is between/],
    ['https://host:99999/a', /port is between/],
    ['ssh://git@host:/a', /malformed/],
    ['git@host:$(id)', /meaning of its own/],
    ["git@host:a'b", /meaning of its own/],
    ['https://host/a?token=1', /meaning of its own/],
    ['https://host/a#b', /meaning of its own/],
    ['ssh://git@host/a%0ab', /no printable character/],
    ['ssh://git@host/a%b', /no printable character/],
    ['ssh://gi%74@host/a', /malformed/],
  ],
};

for (const [what, cases] of Object.entries(bad)) {
  test(`${what} is refused, saying why`, () => {
    for (const [url, why] of cases) {
      const { message, remedy } = refusal(url);
      assert.match(message, why);
      assert.match(message, /^the upstream cannot be "/);
      assert.not.match(message, /[\u0000-\u001f]/);
      assert.match(remedy ?? '', 'ssh://git@HOST/PATH');
    }
  });
}

test('a refused URL keeps its secrets', () => {
  for (const url of [
    'https://ada:s3cret@host',
    'https://s3cret@host',
    'https://ada:s3cret@ho st/a',
    'https://ada:s3c/s3cret@host/a',
    'https://ada:@s3cret@host/a',
    'http://ada:s3cret@host/a',
    'ssh://git:s3cret@host/a',
    'git:s3cret@host:a',
    'ext::https://s3cret@host/a',
    '-x s3cret@host',
  ]) {
    assert.not.match(refusal(url).message, /s3c/);
  }
  assert.match(refusal('ssh://git:s3cret@host/a').message, 'over ssh there is no password');
});

test.run();
