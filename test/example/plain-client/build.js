const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');

const greeting = process.env.VITE_GREETING ?? 'Hello';
const message = readFileSync('src/message.txt', 'utf8').trim();

mkdirSync('dist', { recursive: true });
writeFileSync(
  'dist/index.html',
  `<!doctype html>\n<title>Example</title>\n<h1>${greeting}</h1>\n<p>${message}</p>\n`,
);
