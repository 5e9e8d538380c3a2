process.stdout.write('flight-launch\n');
