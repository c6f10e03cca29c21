// Requests go to where this page came from, not to the address that the document names: that keeps them within
// one origin when people reach the server by another name, and behind a path prefix of a reverse proxy.
(async () => {
  const root = new URL("../..", document.currentScript.src);
  const place = document.getElementById("docs");
  try {
    const answer = await fetch(new URL("openapi.json", root));
    if (!answer.ok) {
      throw new Error(`openapi.json: ${answer.status} ${answer.statusText}`);
    }
    const spec = await answer.json();
    spec.servers = [{ url: root.href.replace(/\/$/, "") }];
    window.SwaggerUIBundle({
      spec,
      domNode: place,
      deepLinking: true,
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
      tryItOutEnabled: true,
      validatorUrl: null,
    });
  } catch (failure) {
    const text = document.createElement("p");
    text.textContent = `The documentation could not be shown. ${failure.message}`;
    place.replaceChildren(text);
  }
})();
