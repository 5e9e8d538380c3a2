import { jobId, journalEntry, type JournalEntry } from '../../src/domain/job';
import { lastStep, parseJournal } from '../../src/domain/journal';
import type { AppContainer } from '../../src/domain/live';
import { howFar } from '../../src/domain/promotion';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const journal = suite('journal of a job');

const started: JournalEntry = {
  format: 1,
  at: 1,
  step: 'started',
  process: { pid: 7, startedAt: 'boot:1' },
};
const ended: JournalEntry = { format: 1, at: 2, step: 'ended', result: 'live', exit: 0 };
const whole = `${JSON.stringify(started)}\n${JSON.stringify(ended)}\n`;

journal('F27 cut at any byte of its last line, it is what it was before that line', () => {
  const first = whole.indexOf('\n') + 1;
  for (let length = first; length < whole.length - 1; length++) {
    assert.equal(parseJournal(journalEntry, whole.slice(0, length)), [started], whole.slice(0, length));
  }
  // Only the newline is missing: the entry was written.
  assert.equal(parseJournal(journalEntry, whole.slice(0, -1)), [started, ended]);
  assert.equal(lastStep(parseJournal(journalEntry, whole), 'ended'), ended);
});

journal('a broken line before the end is damage', () => {
  thrown(() => parseJournal(journalEntry, `{"format":1,\n${whole}`), Error);
});

journal('an entry of an unknown format is refused', () => {
  thrown(() => parseJournal(journalEntry, whole.replace('"format":1', '"format":2')), Error);
});

journal('ids of jobs are their time, numbered where it is taken', () => {
  const at = Date.UTC(2017, 3, 15, 9, 30, 12);
  assert.is(jobId(at, []), '20170415-093012');
  assert.is(jobId(at, ['20170415-093012', '20170415-093012-2']), '20170415-093012-3');
});

journal.run();

const release = suite('how far a release got');

function container(process: string, build: string | undefined): AppContainer {
  return { process, id: process, running: true, image: 'sha256:1', build };
}

release('H24 all, none and some of the processes', () => {
  const switched = [container('web.1', 'new'), container('worker.1', 'new')];
  assert.is(howFar(switched, ['web.1', 'worker.1'], 'new'), 'all');
  assert.is(howFar(switched, ['web.1'], 'old'), 'none');
  assert.is(howFar([container('web.1', 'new'), container('worker.1', undefined)], [], 'new'), 'some');
  assert.is(howFar([], ['web.1'], 'new'), 'none');
});

release('H24 a process that was never started is not switched', () => {
  assert.is(howFar([container('web.1', 'new')], ['web.1', 'worker.1'], 'new'), 'some');
});

release.run();
