//! What serves in a JVM: told by its main class, and by what lies in the archives that it has open.

use super::process::Process;
use super::{Language, binary, file_name};

/// Where Spring Boot lies in an archive: the names of an archive's files are not compressed.
const SPRING_BOOT: &[u8] = b"org/springframework/boot/";
/// Where servers lie that have ways of their own to be stopped.
const SERVERS: [&[u8]; 6] = [
    b"org/eclipse/jetty/",
    b"org/apache/catalina/",
    b"io/undertow/",
    b"io/netty/",
    b"io/helidon/webserver/",
    b"org/glassfish/grizzly/",
];
/// The main class of a Tomcat that holds applications: theirs is not to stop it.
const TOMCAT: &str = "org.apache.catalina.startup.Bootstrap";

/// What serves, as far as it shows.
pub fn language(process: &Process) -> Language {
    if process.arguments.iter().any(|argument| argument == TOMCAT) {
        return Language::JavaServer;
    }
    let is_spring = |argument: &String| argument.starts_with("org.springframework.boot.");
    if process.arguments.iter().any(is_spring) {
        return Language::Spring;
    }
    let mut archives: Vec<_> =
        process.open_files().into_iter().filter(|(_, target)| target.ends_with(".jar")).collect();
    archives.dedup_by(|one, other| one.1 == other.1);
    // Names first: they cost nothing.
    if archives.iter().any(|(_, target)| file_name(target).starts_with("spring-boot-")) {
        return Language::Spring;
    }
    let found = archives.iter().filter_map(|(file, _)| in_archive(&binary::read(file)?));
    found.max_by_key(|language| *language == Language::Spring).unwrap_or(Language::Java)
}

fn in_archive(bytes: &[u8]) -> Option<Language> {
    if binary::contains(bytes, SPRING_BOOT) {
        return Some(Language::Spring);
    }
    SERVERS.iter().any(|server| binary::contains(bytes, server)).then_some(Language::JavaServer)
}

#[cfg(test)]
mod tests {
    use super::super::tests::process;
    use super::*;

    #[test]
    fn main_classes_tell() {
        let of = |main: &str| language(&process("/usr/bin/java", &["java", "-cp", "x", main]));
        assert_eq!(of("org.springframework.boot.loader.launch.JarLauncher"), Language::Spring);
        assert_eq!(of("org.apache.catalina.startup.Bootstrap"), Language::JavaServer);
        assert_eq!(of("com.example.App"), Language::Java);
        assert_eq!(language(&process("/usr/bin/java", &["java", "-jar", "/spring/app.jar"])), Language::Java);
    }

    #[test]
    fn archives_tell_whatever_they_are_called() {
        let of = |name: &str| in_archive(format!("PK\x03\x04 META-INF/ PK\x03\x04 {name} ...").as_bytes());
        assert_eq!(of("org/springframework/boot/loader/Launcher.class"), Some(Language::Spring));
        assert_eq!(of("org/eclipse/jetty/server/Server.class"), Some(Language::JavaServer));
        assert_eq!(of("com/example/App.class"), None);
    }
}
