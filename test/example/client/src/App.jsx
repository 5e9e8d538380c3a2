import { useEffect, useState } from 'react';
import { message } from './message';

const greeting = import.meta.env.VITE_GREETING ?? 'Hello';

export function App() {
  const [version, setVersion] = useState('…');

  useEffect(() => {
    fetch('/version')
      .then((response) => response.json())
      .then((body) => setVersion(body.version));
  }, []);

  return (
    <main>
      <h1>{greeting}</h1>
      <p>{message}</p>
      <p>Version of the server: {version}</p>
    </main>
  );
}
