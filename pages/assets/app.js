// Makes pages better where scripts run. Everything works without it: pages are whole as they come.
import { forms } from './forms.js';
import { follow } from './live.js';
import { keys } from './keys.js';
import { tick } from './times.js';

tick();
keys();
forms();
follow();
