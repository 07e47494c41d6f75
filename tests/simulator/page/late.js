// The script with which the modules come that were held back.

import { deliver } from "./graph.js";

deliver();
