// Makes pages better where scripts run. Everything works without it: pages are whole as they come.
import { follow } from './live.js';
import { keys } from './keys.js';
import { tick } from './times.js';

tick();
keys();
follow();
