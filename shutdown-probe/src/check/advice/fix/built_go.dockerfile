# Once, when the image is built, with what you give to `go run`:
RUN go build -o /app .
CMD ["/app"]
