# app.jar is what `mvn package` or `gradle build` leaves in target/ or build/libs/.
CMD ["java", "-jar", "app.jar"]
