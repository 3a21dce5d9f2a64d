# Once, when the image is built; App.dll has your project's name:
RUN dotnet publish -c Release -o /app
CMD ["dotnet", "/app/App.dll"]
