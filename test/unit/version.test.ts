import semver from 'semver';
import { isBranchName } from '../../src/domain/branch-name';
import { UsageError, UserError } from '../../src/domain/errors';
import {
  checkVersion,
  increments,
  manifestVersion,
  nextVersion,
  versionSchemes,
  type Increment,
  type VersionScheme,
} from '../../src/domain/version';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const check = suite('versions');

const good: Record<VersionScheme, string[]> = {
  month: ['201704.15', '201704.5', '201704.05', '201712.9999', '999901.0001', '201704.10'],
  day: ['201704.15', '201704.05', '201704.30', '202002.29', '200002.29'],
  semantic: ['0.0.0', '1.2.3', '10.20.30', '1.2.3-rc.1', '1.2.3--', '9007199254740991.0.0', '1.2.3-0a.0'],
};

const bad: Record<VersionScheme, string[]> = {
  month: [
    '201700.1',
    '201713.1',
    '201704.0',
    '201704.00',
    '201704.0000',
    '201704.12345',
    '201704',
    '201704.',
    '20174.1',
    '2017041.1',
    '020170.1',
    '201704.1.2',
    '201704.1a',
    '1.2.3',
    'v201704.15',
  ],
  day: [
    '201704.31',
    '201704.99',
    '201712.32',
    '201704.5',
    '201704.00',
    '201702.29',
    '190002.29',
    '201713.01',
    '201700.01',
    '201704.015',
    '000001.01',
    '1.2.3',
  ],
  semantic: [
    '1.2',
    'v1.2.3',
    '=1.2.3',
    '1.2.3+build',
    '1.2.3-a+b',
    '1.2.3-01',
    '1.2.3-',
    '1.2.3-a..b',
    '1.02.3',
    '1.2.3.4',
    '1.2.3-rc.lock',
    '1.2.3-9007199254740992',
    '1.9007199254740992.0',
    `1.2.3-${'x'.repeat(59)}`,
    '201704.15',
  ],
};

/** Wrong in every scheme. */
const hazards: Record<string, string[]> = {
  'I66 a leading zero': ['01.2.3'],
  'I67 a hyphen at the end': ['1.2.3-', '201704.15-'],
  'I68 a number over 2^53': ['9007199254740993.0.0', '201704.9007199254740993', '9007199254740993.15'],
  'I69 digits of another script': [
    '\u0662\u0660\u0661\u0667\u0660\u0664.15',
    '201704.\u0661\u0665',
    '1.2.\uff13',
  ],
  'I70 an option': ['-d', '-1.2.3', '-201704.15'],
  'I71 an option with a value': ['--output=x'],
  'I72 a range': ['a..b', '201704..15', '1..2.3'],
  'I73 the name of a lock': ['x.lock', '201704.15.lock', '1.2.3-x.lock'],
  'I74 HEAD': ['HEAD'],
  'a revision': ['201704.15~1', '1.2.3^', '@'],
  'space around': ['', ' ', ' 1.2.3', '1.2.3 ', '201704.15\n', '\n201704.15', '1.2.3\n'],
  'a path': ['../1.2.3', '1.2.3/x', '201704.15/..'],
  'control characters': ['\u001b[2J', '1.2.3\0'],
};

for (const scheme of versionSchemes) {
  check(`${scheme}: what fits it is taken, and can be a branch`, () => {
    for (const version of good[scheme]) {
      checkVersion(scheme, version);
      assert.ok(isBranchName(`release/${version}`), version);
    }
  });

  for (const [what, versions] of Object.entries({ 'another form': bad[scheme], ...hazards })) {
    check(`${scheme}: ${what} is no version`, () => {
      for (const version of versions) {
        const { message, remedy } = thrown(() => checkVersion(scheme, version), UsageError);
        assert.match(
          message,
          new RegExp(`^"[^\\u0000-\\u001f]*" is not a version of the scheme \`${scheme}\`$`),
        );
        assert.match(remedy ?? '', /^Such a version is .*such as `(201704\.15|201704\.05|1\.2\.3)`/);
      }
    });
  }

  check(`${scheme}: the example of the remedy is one`, () => {
    const { remedy } = thrown(() => checkVersion(scheme, 'x'), UsageError);
    const examples = [...(remedy ?? '').matchAll(/(?:such as|or) `([^`]+)`/g)];
    assert.ok(examples.length > 0);
    for (const [, example = ''] of examples) checkVersion(scheme, example);
  });
}

check.run();

const next = suite('next version');

const at = (text: string) => Date.parse(text);
const april = at('2017-04-20T12:00:00Z');
const month = (taken: string[], now = april) => nextVersion('month', { taken, now });
const semantic = (taken: string[], increment?: Increment) =>
  nextVersion('semantic', { taken, now: april, ...(increment === undefined ? {} : { increment }) });

next('month: one after the highest of the month, by number', () => {
  assert.is(month([]), '201704.1');
  assert.is(month(['201704.9', '201704.10', '201704.2']), '201704.11');
  assert.is(month(['201703.7', '201705.3', '201604.8']), '201704.1');
});

next('month: a gap is not filled, and a branch counts as a tag does', () => {
  assert.is(month(['201704.1', '201704.7']), '201704.8');
});

next('month: what is no version does not count', () => {
  assert.is(month(['201704.3', 'v201704.8', '201704.9-rc', '201704.77777', 'x', '201704.9/x']), '201704.4');
});

next('month: single digits are padded where the newest of them is', () => {
  assert.is(month(['201704.05']), '201704.06');
  assert.is(month(['201704.5']), '201704.6');
  assert.is(month(['201704.09']), '201704.10');
  assert.is(month(['201703.02', '201703.15']), '201704.01');
  assert.is(month(['201702.02', '201703.15']), '201704.01');
  assert.is(month(['201702.02', '201703.4']), '201704.1');
  assert.is(month(['201702.4', '201703.02']), '201704.01');
  assert.is(month(['201612.4', '201701.02']), '201704.01');
  assert.is(month(['201704.05', '201704.6']), '201704.7');
  assert.is(month(['201704.5', '201704.06']), '201704.07');
  assert.is(month(['201704.0005']), '201704.0006');
  assert.is(month(['201704.15']), '201704.16');
  assert.is(month(['201703.4', '201703.15']), '201704.1');
});

next('month: it is that of UTC', () => {
  assert.is(month([], at('2017-04-30T23:59:59.999Z')), '201704.1');
  assert.is(month(['201704.3'], at('2017-05-01T00:00:00Z')), '201705.1');
  assert.is(month(['201612.3'], at('2017-01-01T00:30:00+02:00')), '201612.4');
});

next('month: where 9999 are taken none is left', () => {
  assert.is(month(['201704.9998']), '201704.9999');
  const { message, exit } = thrown(() => month(['201704.9999']), UserError);
  assert.is(message, 'the next version would be 201704.10000, which is no version of the scheme `month`');
  assert.is(exit, 1);
});

next('day: that of today in UTC, unless it is taken', () => {
  const day = (taken: string[], now: string) => nextVersion('day', { taken, now: at(now) });
  assert.is(day(['201704.19', '201705.05'], '2017-04-20T00:00:00Z'), '201704.20');
  assert.is(day([], '2017-05-05T23:59:59Z'), '201705.05');
  const error = thrown(() => day(['201704.20'], '2017-04-20T12:00:00Z'), UserError);
  assert.is(error.message, 'the next version would be 201704.20, which exists');
  assert.match(error.remedy ?? '', /^Name one that does not exist: YYYYMM\.DD/);
  assert.is(error.exit, 1);
});

next('semantic: the increment of the highest, patch without one', () => {
  const taken = ['1.2.3', '1.10.0', '1.9.9'];
  assert.is(semantic(taken), '1.10.1');
  assert.is(semantic(taken, 'patch'), '1.10.1');
  assert.is(semantic(taken, 'minor'), '1.11.0');
  assert.is(semantic(taken, 'major'), '2.0.0');
  assert.equal(
    increments.map((increment) => semantic([], increment)),
    ['0.0.1', '0.1.0', '1.0.0'],
  );
});

next('semantic: prereleases and what is no version do not count', () => {
  const taken = ['1.2.3', '1.3.0-rc.1', '2.0.0-1', 'v3.0.0', '4.0.0+x', '201704.15'];
  assert.is(semantic(taken), '1.2.4');
  assert.is(semantic(taken, 'minor'), '1.3.0');
});

next('I68 semantic: past the numbers that can be counted none is left', () => {
  const { message } = thrown(() => semantic(['1.0.9007199254740991']), UserError);
  assert.match(message, 'which is no version of the scheme `semantic`');
});

next('an increment is for semantic versions alone', () => {
  for (const scheme of ['month', 'day'] as const) {
    const { message } = thrown(
      () => nextVersion(scheme, { taken: [], now: april, increment: 'minor' }),
      UsageError,
    );
    assert.is(message, `versions of the scheme \`${scheme}\` have no increment "minor"`);
  }
});

next('what comes next is a version that is not taken', () => {
  const taken = ['201704.1', '201704.02', '201704.10', '0.0.1', '1.2.3', '1.2.4-rc.1'];
  for (const scheme of versionSchemes) {
    const version = nextVersion(scheme, { taken, now: april });
    checkVersion(scheme, version);
    assert.not.ok(taken.includes(version));
  }
});

next.run();

const manifest = suite('version of a manifest');

manifest('a calendar version becomes a semantic one, a semantic one stays', () => {
  for (const [version, expected] of [
    ['201704.15', '201704.15.0'],
    ['201704.05', '201704.5.0'],
    ['201704.10', '201704.10.0'],
    ['1.2.3', '1.2.3'],
    ['1.2.3-rc.1', '1.2.3-rc.1'],
  ] as const) {
    assert.is(manifestVersion(version), expected);
    assert.is(semver.valid(expected), expected);
  }
});

manifest.run();
