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
# tests/security/least_privilege_test.ts: what clouds tell their machines is nobody's to read, and of
# what the container was told only what the service and its driver for Postgres look at.
CMD ["deno", "run", "--cached-only", "--frozen", "--no-prompt", "--allow-net", "--deny-net=169.254.0.0/16,[fd00:ec2::254]", "--allow-env=HOST,PORT,DATA_DIR,LOG_LEVEL,DATABASE_URL,DATABASE_POOL_MAX,DATABASE_ALLOW_UNSAFE,REDIS_URL,REDIS_CHANNEL,UPSTASH_REDIS_REST_URL,UPSTASH_REDIS_REST_TOKEN,RATE_LIMITS,RATE_LIMIT_NODES,TRUSTED_PROXIES,TOKEN_SECRET,TOKEN_SECRETS_RETIRED,TOKEN_ISSUER,TOKEN_AUDIENCE,TOKEN_TTL_HOURS,SMTP_URL,MAIL_FROM,MAIL_VERIFY_URL,AUDIT_KEY,CONTENT_FILTER,CONTENT_FILTER_WORDS,ALLOWED_HOSTS,CORS_ORIGINS,HTTPS_REDIRECT,HSTS,WEBHOOK_ALLOWED_HOSTS,MAILBOX_CAPACITY,RESIDENT_ACTORS_MAX,IDLE_MS,REQUEST_TIMEOUT_MS,BODY_BYTES_MAX,BODY_MS,CONNECTIONS_MAX,CONNECTIONS_PER_ADDRESS_MAX,HEAD_MS,KEEP_ALIVE_MS,SHUTDOWN_GRACE_MS,SHUTDOWN_MS,REPLY_RETENTION_HOURS,CONSISTENCY_WAIT_MS,PG*", "--allow-read=/app,/data,/deno-dir", "--allow-write=/data", "main.ts"]
