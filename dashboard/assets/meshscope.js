/* What only the browser can do: links without a reload, the theme, the graph's view, cells of tables. */
(function () {
  "use strict";
  const root = document.documentElement;

  /* ---- links: internal ones change the URL, and Dash's Location hears of it ---- */
  function go(to) {
    const next = new URL(to, window.location.href);
    if (next.href === window.location.href) return;
    const moved = next.pathname !== window.location.pathname;
    window.history.pushState(null, "", next.pathname + next.search);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    if (moved) window.scrollTo(0, 0);
  }
  function goWith(changes) {
    const next = new URL(window.location.href);
    for (const [name, value] of Object.entries(changes)) {
      if (value === "" || value === null || value === undefined || value === false) next.searchParams.delete(name);
      else next.searchParams.set(name, String(value));
    }
    next.searchParams.sort();
    const now = new URL(window.location.href);
    now.searchParams.sort();
    if (next.href !== now.href) go(next.pathname + next.search);
  }
  document.addEventListener("click", function (event) {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest && event.target.closest("a[href]");
    if (!link || link.target || link.origin !== window.location.origin || link.getAttribute("href").startsWith("#")) return;
    event.preventDefault();
    go(link.href);
  });

  /* ---- theme ---- */
  function wear(theme) {
    root.dataset.theme = theme;
    root.dataset.mantineColorScheme = theme;
  }

  /* ---- the graph ---- */
  const GRAPH = "topology-graph";
  function cy() {
    const place = document.getElementById(GRAPH);
    return (place && place._cyreg && place._cyreg.cy) || null;
  }
  function withGraph(act, tries) {
    const graph = cy();
    if (graph && !graph.destroyed() && graph.elements().nonempty()) act(graph);
    else if (tries > 0) window.setTimeout(() => withGraph(act, tries - 1), 50);
  }
  function fit(graph) {
    graph.resize();
    graph.fit(undefined, 28);
    if (graph.zoom() > 1.1) {
      graph.zoom(1.1);
      graph.center();
    }
  }
  function listen(graph) {
    if (graph.scratch("meshscope")) return;
    graph.scratch("meshscope", true);
    graph.on("tap", ".card, .arrow", (event) => {
      const data = event.target.data();
      goWith(data.kind === "edge" ? { edge: data.name, node: "" } : { node: data.name, edge: "" });
    });
    graph.on("tap", (event) => {
      if (event.target === graph) goWith({ node: "", edge: "" });
    });
    graph.on("mouseover", ".card, .arrow", () => (graph.container().style.cursor = "pointer"));
    graph.on("mouseout", ".card, .arrow", () => (graph.container().style.cursor = ""));
    let width = graph.width();
    const watcher = new ResizeObserver(() => {
      if (graph.destroyed()) {
        watcher.disconnect();
        return;
      }
      if (graph.container().clientWidth > 0 && Math.abs(graph.container().clientWidth - width) > 8) {
        width = graph.container().clientWidth;
        fit(graph);
      }
    });
    watcher.observe(graph.container());
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    meshscope: {
      title: function (shown) {
        if (shown) document.title = shown.title;
      },
      theme: function (clicks) {
        let theme = root.dataset.theme || "light";
        if (clicks) {
          theme = theme === "dark" ? "light" : "dark";
          try { window.localStorage.setItem("meshscope-theme", theme); } catch (e) { /* storage may be forbidden */ }
        }
        wear(theme);
        return [theme, theme];
      },
      pause: function (clicks) {
        const paused = Boolean(clicks && clicks % 2);
        return [paused, paused ? "Paused" : "Live", paused ? "false" : "true"];
      },
      graphStyle: function (theme, sheets) {
        return (sheets && sheets[theme || "light"]) || window.dash_clientside.no_update;
      },
      fitGraph: function (nodes) {
        if (nodes && nodes.length) {
          window.setTimeout(() => withGraph((graph) => { listen(graph); fit(graph); }, 40), 30);
        }
      },
      readParams: function (search, defaults) {
        const params = new URLSearchParams(search || "");
        const outputs = window.dash_clientside.callback_context.outputs_list;
        return outputs.map((output) => {
          const name = output.id.split("--")[1];
          const kept = (defaults || {})[name];
          if (output.property === "checked") return params.get(name) === "true";
          return params.get(name) || (kept === undefined ? null : kept);
        });
      },
      setParam: function (value, defaults) {
        const name = (window.dash_clientside.callback_context.triggered_id || "").split("--")[1];
        if (!name || value === null || value === undefined) return;
        goWith({ [name]: (defaults || {})[name] === value ? "" : value });
      },
      setPair: function (value, defaults) {
        // What is typed half is no filter yet.
        if (!value || /^[^=]+=./.test(value)) window.dash_clientside.meshscope.setParam(value || "", defaults);
      },
    },
  });
})();
