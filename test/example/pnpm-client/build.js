const escapeHtml = require('escape-html');
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');

const message = readFileSync('src/message.txt', 'utf8').trim();

mkdirSync('dist', { recursive: true });
writeFileSync('dist/index.html', `<!doctype html>\n<title>Example</title>\n<p>${escapeHtml(message)}</p>\n`);
