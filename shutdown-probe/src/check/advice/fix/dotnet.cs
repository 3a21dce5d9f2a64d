// Program.cs: the host handles SIGTERM; less than the grace period
builder.Services.Configure<HostOptions>(
    options => options.ShutdownTimeout = TimeSpan.FromSeconds({drain}));
