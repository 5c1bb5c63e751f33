# Two stages: the first fetches what the lock file names, the second holds just that and the source.
FROM denoland/deno:2.9.6 AS packages
WORKDIR /app
COPY deno.json deno.lock ./
COPY . .
RUN deno cache --frozen main.ts lib/postgres/embedded_worker.ts lib/passwords/hashing_worker.ts

FROM denoland/deno:2.9.6
WORKDIR /app
COPY --from=packages /deno-dir /deno-dir
COPY --from=packages /app /app
# The embedded database and the token key live here; the image itself is never written to.
RUN mkdir /data && chown deno:deno /data
VOLUME /data
USER deno
ENV HOST=0.0.0.0 PORT=8000 DATA_DIR=/data
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
  CMD ["deno", "eval", "const r = await fetch(`http://127.0.0.1:${Deno.env.get('PORT')}/health/ready`); Deno.exit(r.ok ? 0 : 1)"]
# Started directly, so that SIGTERM reaches the process that can drain. With all that it may do, and
# tests/security/least_privilege_test.ts: what clouds tell their machines is nobody's to read.
CMD ["deno", "run", "--cached-only", "--frozen", "--no-prompt", "--allow-net", "--deny-net=169.254.0.0/16,[fd00:ec2::254]", "--allow-env", "--allow-read=/app,/data,/deno-dir", "--allow-write=/data", "main.ts"]
