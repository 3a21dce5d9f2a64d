# SIGTERM is php-fpm's fast stop. SIGQUIT finishes what is in flight, for as long as
# process_control_timeout in php-fpm.conf says: 0, the default, is not at all.
STOPSIGNAL SIGQUIT
RUN echo 'process_control_timeout = 25s' >> /usr/local/etc/php-fpm.conf
