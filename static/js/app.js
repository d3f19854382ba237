// What every page needs, by purpose. Pages add their own modules.
import "./appearance.js";
import "./dialogs.js";
import "./forms.js";
import "./keys.js";
import "./menus.js";
import "./notices.js";
import "./status.js";
import "./tables.js";
import "./tabs.js";
import "./toasts.js";
