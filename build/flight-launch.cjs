"use strict";

// src/main.ts
process.stdout.write("flight-launch\n");
