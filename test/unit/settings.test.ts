import { set } from '../../src/commands/set';
import { UsageError } from '../../src/domain/errors';
import type { Services } from '../../src/domain/ports';
import {
  checkSetting,
  describeSetting,
  displaySetting,
  effectiveSettings,
  settingName,
  settingNames,
  type SettingName,
} from '../../src/domain/settings';
import { formatAge, formatBytes, formatDuration, parseBytes, parseDuration } from '../../src/domain/units';
import { assert, rejects, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const settings = suite('settings');

settings('a default is a value that the setting takes', () => {
  for (const name of settingNames) {
    const { fallback } = describeSetting(name);
    if (fallback !== '') checkSetting(name, fallback);
  }
});

settings('without any set, the defaults are in force', () => {
  assert.equal(effectiveSettings({}), {
    clientImage: undefined,
    memory: 2 * 1024 ** 3,
    cpus: 2,
    processes: 1024,
    buildTimeout: 15 * 60,
    outputLimit: 1024 ** 3,
    logLimit: 16 * 1024 ** 2,
    caFile: undefined,
    proxy: undefined,
    keep: 5,
    upstream: undefined,
    upstreamTimeout: 300,
    developBranch: 'develop',
    masterBranch: 'master',
    releaseFrom: undefined,
    versionScheme: 'month',
    committerName: 'flight-launch',
    committerEmail: undefined,
    signing: 'none',
  });
});

settings('what is set is in force', () => {
  assert.equal(
    effectiveSettings({
      'client-image': 'mine:{version}',
      memory: '512m',
      cpus: '0.5',
      processes: '64',
      'build-timeout': '1h',
      'output-limit': '1k',
      'log-limit': '2k',
      'ca-file': '/etc/ca.pem',
      proxy: 'http://proxy:3128',
      keep: '1',
      upstream: 'git@github.com:example/shop.git',
      'upstream-timeout': '1m',
      'develop-branch': 'main',
      'master-branch': 'live',
      'release-from': 'staging',
      'version-scheme': 'semantic',
      'committer-name': 'Ada',
      'committer-email': 'ada@example.org',
      signing: 'deploy-key',
    }),
    {
      clientImage: 'mine:{version}',
      memory: 512 * 1024 ** 2,
      cpus: 0.5,
      processes: 64,
      buildTimeout: 3600,
      outputLimit: 1024,
      logLimit: 2048,
      caFile: '/etc/ca.pem',
      proxy: 'http://proxy:3128',
      keep: 1,
      upstream: 'git@github.com:example/shop.git',
      upstreamTimeout: 60,
      developBranch: 'main',
      masterBranch: 'live',
      releaseFrom: 'staging',
      versionScheme: 'semantic',
      committerName: 'Ada',
      committerEmail: 'ada@example.org',
      signing: 'deploy-key',
    },
  );
});

const good: Record<SettingName, string[]> = {
  'client-image': ['node:22', 'node:{version}-slim', 'registry.example:5000/a/b@sha256:0123'],
  memory: ['64m', '2g', '512G', '2gb'],
  cpus: ['0.1', '1', '1.25', '256'],
  processes: ['16', '65536'],
  'build-timeout': ['5s', '300', '15m', '6h'],
  'output-limit': ['1k', '64g'],
  'log-limit': ['1k', '1g'],
  'ca-file': ['/etc/ssl/certs/ca.pem'],
  proxy: ['http://proxy.example:3128', 'https://user:secret@proxy.example'],
  keep: ['1', '100'],
  upstream: ['git@github.com:example/shop.git', 'https://example.org/shop', 'x'.repeat(2000)],
  'upstream-timeout': ['5s', '5m', '1h'],
  'develop-branch': ['develop', 'team/develop'],
  'master-branch': ['master', 'main'],
  'release-from': ['staging', 'develop'],
  'version-scheme': ['month', 'day', 'semantic'],
  'committer-name': ['flight-launch', 'Zoë O. 王', '\u0663', 'x'.repeat(100)],
  'committer-email': ['a@b', 'releases+x@example.org', '1+github[bot]@users.noreply.github.com'],
  signing: ['none', 'deploy-key'],
};

const bad: Record<SettingName, string[]> = {
  'client-image': ['Node:22', '-v', 'node 22', 'node:{nothing}', 'a$(id)', 'node:22\n'],
  memory: ['2', '63m', '513g', '1.5g', '-1', '2t', 'two', '2g\n'],
  cpus: ['0', '0.05', '257', '1e2', '-1', '1,5', 'NaN'],
  processes: ['15', '65537', '1e3', '0x20', '-20', '1024.5'],
  'build-timeout': ['4s', '7h', '1d', '0', '-5m', '15 m'],
  'output-limit': ['1023', '65g', '0'],
  'log-limit': ['1023', '2g'],
  'ca-file': ['ca.pem', '~/ca.pem', '/a\n/b', '/'],
  proxy: ['proxy:3128', 'ftp://proxy', 'http://', 'http://a b', 'http://a"b', "http://a'b", 'socks5://x'],
  keep: ['0', '101', '-1', 'all'],
  upstream: ['a b', 'a\nb', 'a\0', 'https://example.org/\u00e9', 'x'.repeat(2001)],
  'upstream-timeout': ['4s', '2h', '0', '5m\n'],
  'develop-branch': ['-d', 'a..b', 'HEAD', 'a b', 'refs/heads/develop'],
  'master-branch': ['-d', 'x.lock', 'HEAD', 'a b'],
  'release-from': ['-d', '--output=x', 'HEAD', 'develop~1'],
  'version-scheme': ['Month', 'year', 'constructor', 'month\n'],
  'committer-name': ['Ada <a@b>', 'a>', 'a\nb', 'a\0b', 'a\u202eb', ' a', 'a ', '...', 'x'.repeat(101)],
  'committer-email': [
    'ada',
    'a b@c',
    '<a@b>',
    'a@b\n',
    'a@',
    '@b',
    'a@b@c',
    '-a@b',
    'a@b.',
    `a@${'b'.repeat(253)}`,
  ],
  signing: ['gpg', 'yes', 'deploy-key '],
};

for (const name of settingNames) {
  settings(`${name} takes what it says and nothing else`, () => {
    for (const value of good[name]) checkSetting(name, value);
    const foreign = good[name].includes('\u0663') ? [] : ['\u0663'];
    for (const value of [...bad[name], ' ', ...foreign]) {
      const error = thrown(() => checkSetting(name, value), UsageError);
      assert.ok(error.message.startsWith(`${name} cannot be "`), error.message);
      assert.is(error.remedy, `It takes ${describeSetting(name).allowed}.`);
    }
  });
}

settings('an unknown setting is answered with those that there are', () => {
  for (const name of ['memroy', 'toString', '__proto__', '']) {
    const error = thrown(() => settingName(name), UsageError);
    assert.is(error.message, `there is no setting "${name}"`);
    assert.is(error.details.length, settingNames.length);
  }
  assert.is(settingName('keep'), 'keep');
});

settings('I28 a refused value is shown without control characters', () => {
  for (const value of ['\u001b[2J', '\u009b2J', 'a\nb']) {
    for (const refuse of [() => checkSetting('keep', value), () => settingName(value)]) {
      assert.not.match(thrown(refuse, UsageError).message, /[\u0000-\u001f\u0080-\u009f]/);
    }
  }
});

settings('the password of a URL is shown nowhere, not even of a refused one', () => {
  for (const [name, value, shown] of [
    ['proxy', 'http://me:secret@proxy:3128', 'http://me:REDACTED@proxy:3128'],
    ['proxy', 'http://me:sec@ret@proxy', 'http://me:REDACTED@proxy'],
    ['upstream', 'https://me:secret@example.org/shop', 'https://REDACTED@example.org/shop'],
    ['upstream', 'HTTPS://secret@example.org/a@b', 'HTTPS://REDACTED@example.org/a@b'],
    ['upstream', 'ssh://git:secret@example.org/shop', 'ssh://git:REDACTED@example.org/shop'],
  ] as const) {
    assert.is(displaySetting(name, value), shown);
  }
  for (const value of [
    'http://me:secret@a b',
    'me:secret@proxy',
    'http://me:sec ret@proxy',
    'http://me:sec/ret@pro xy',
    'http://me:secret@',
  ]) {
    for (const name of ['proxy', 'upstream'] as const) {
      const { message, remedy } = thrown(() => checkSetting(name, `${value}\n`), UsageError);
      assert.not.match(`${message} ${String(remedy)}`, /sec/);
    }
  }
});

settings('set leaves the upstream to setup, but takes it away', async () => {
  // It never gets as far as its services.
  const refused = (...args: string[]) =>
    rejects(set.run({} as Services, ['shop', 'upstream', ...args]), UsageError);
  for (const args of [['https://me:secret@example.org/shop'], []]) {
    const { message, remedy } = await refused(...args);
    assert.is(message, 'upstream is set by flight-launch:setup');
    assert.match(remedy ?? '', '`dokku flight-launch:setup NAME --upstream URL`');
    assert.not.match(remedy ?? '', 'secret');
  }
  const reached = new Error('reached the store');
  const services = {
    store: {
      pipelines: () => {
        throw reached;
      },
    },
  } as unknown as Services;
  assert.is(await rejects(set.run(services, ['shop', 'upstream', '--unset']), Error), reached);
});

settings('other values are shown as they are', () => {
  assert.is(displaySetting('proxy', ''), '');
  assert.is(displaySetting('ca-file', '/etc/ca.pem'), '/etc/ca.pem');
  for (const url of [
    'git@github.com:example/shop.git',
    'ssh://git@h:22/a@b:c',
    'https://h/a:b@c',
    '/srv/a:b@c',
  ]) {
    assert.is(displaySetting('upstream', url), url);
  }
});

settings.run();

const units = suite('units');

units('sizes are powers of 1024', () => {
  const sizes: [string, number | undefined][] = [
    ['1', 1],
    ['1k', 1024],
    ['512m', 512 * 1024 ** 2],
    ['2G', 2 * 1024 ** 3],
    ['2gb', 2 * 1024 ** 3],
    ['0', undefined],
    ['-1', undefined],
    ['1.5g', undefined],
    ['1e3', undefined],
    ['1k ', undefined],
    ['k', undefined],
    ['', undefined],
    ['\u0661', undefined],
    ['99999999999999g', undefined],
  ];
  for (const [text, bytes] of sizes) assert.is(parseBytes(text), bytes, text);
});

units('durations are whole seconds, minutes or hours', () => {
  const durations: [string, number | undefined][] = [
    ['90', 90],
    ['90s', 90],
    ['15m', 900],
    ['1h', 3600],
    ['0', undefined],
    ['1d', undefined],
    ['-1', undefined],
    ['1.5h', undefined],
    ['', undefined],
  ];
  for (const [text, seconds] of durations) assert.is(parseDuration(text), seconds, text);
});

units('sizes, durations and ages read well', () => {
  assert.equal([0, 1023, 1024, 1.5 * 1024 ** 2, 3 * 1024 ** 3, 5000 * 1024 ** 3].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.0 kB',
    '1.5 MB',
    '3.0 GB',
    '5000.0 GB',
  ]);
  assert.equal([0, 840, 42_400, 59_600, 185_000, 7_260_000].map(formatDuration), [
    '0.0 s',
    '0.8 s',
    '42 s',
    '1 min 0 s',
    '3 min 5 s',
    '2 h 1 min',
  ]);
  assert.equal(
    [59, 60, 125, 3600, 86_399, 86_400, 3 * 86_400].map((age) => formatAge(age * 1000, 0)),
    ['just now', '1 minute ago', '2 minutes ago', '1 hour ago', '23 hours ago', '1 day ago', '3 days ago'],
  );
});

units('F39 an age is never negative', () => {
  assert.is(formatAge(0, 1_000_000), 'just now');
});

units.run();
