/* Cells of AG Grid. Everything from telemetry becomes text: React elements, never HTML. */
(function () {
  "use strict";
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  const components = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});

  functions.meshscopeBy = function (field) {
    return function (_a, _b, nodeA, nodeB) {
      const a = nodeA.data[field];
      const b = nodeB.data[field];
      return a < b ? -1 : a > b ? 1 : 0;
    };
  };

  components.MeshscopeCell = function (props) {
    const make = window.React.createElement;
    const data = props.data || {};
    const value = props.value;
    if (props.bar) {
      const tone = data.failed ? " failed" : "";
      return make("span", { className: "cell-bar" + tone, "aria-hidden": true }, make("span", { style: { width: value + "%" } }));
    }
    if (props.badge) {
      const tone = data[props.badge] || "";
      return make("span", { className: "badge " + tone }, make("span", { className: "cue " + tone, "aria-hidden": true }), String(value));
    }
    if (props.mark) {
      return value ? make("span", { className: "cell-mark" }, make("span", { className: "cue " + props.mark, "aria-hidden": true }), String(value)) : "0";
    }
    const text = props.short ? String(value || "").slice(-props.short) : String(value === null || value === undefined ? "" : value);
    const to = props.link && data[props.link];
    return to ? make("a", { href: to, className: "link", title: String(value) }, text) : text;
  };
})();
