import { neededDisk, neededFiles, shortage } from '../../src/domain/disk-room';
import { assert, suite } from '../support/suite';

const test = suite('room on a disk');

const enough = { bytes: neededDisk, files: neededFiles };

test('I47 a disk has too little where a deploy would not fit on it any more', () => {
  assert.is(shortage(enough), undefined);
  assert.is(shortage({ ...enough, bytes: neededDisk - 1 }), 'disk');
});

test('I47 small files use up the files of a disk before its bytes', () => {
  assert.is(shortage({ bytes: 2 ** 40, files: neededFiles - 1 }), 'files');
  assert.is(shortage({ bytes: 0, files: 0 }), 'disk');
});

test('what is not known is no shortage: a remote engine, a file system that does not count files', () => {
  assert.is(shortage(undefined), undefined);
  assert.is(shortage({ ...enough, files: undefined }), undefined);
});

test.run();
