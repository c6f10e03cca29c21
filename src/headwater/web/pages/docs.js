// Send requests to the origin of this page, not to the URL in the document. They then stay within one origin if
// people reach the server by another name or behind a path prefix of a reverse proxy.
(async () => {
  const root = new URL("../..", document.currentScript.src);
  const container = document.getElementById("docs");
  try {
    const response = await fetch(new URL("openapi.json", root));
    if (!response.ok) {
      throw new Error(`openapi.json: ${response.status} ${response.statusText}`);
    }
    const spec = await response.json();
    spec.servers = [{ url: root.href.replace(/\/$/, "") }];
    window.SwaggerUIBundle({
      spec,
      domNode: container,
      deepLinking: true,
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
      tryItOutEnabled: true,
      validatorUrl: null,
    });
  } catch (failure) {
    const text = document.createElement("p");
    text.textContent = `The documentation could not be shown. ${failure.message}`;
    container.replaceChildren(text);
  }
})();
