"""The foreground program: everything up in good order, then a watch over supervisord, then everything down."""

from __future__ import annotations

import datetime
import os
import signal
import time
from types import FrameType

from django.conf import settings

from deployments.compute.places import write_private
from gateway.configured import publisher
from studio.lib import env
from studio.lib.errors import StudioError
from studio.run import data, parts, people, sample
from studio.run.certificates import Certificates, server_names
from studio.run.environment import for_parts
from studio.run.errors import PartFailed
from studio.run.lock import only_start
from studio.run.places import Places, check_home
from studio.run.ports import check_ports
from studio.run.processes import end, processes_of
from studio.run.redis_server import redis_configuration, redis_server_binary
from studio.run.supervision import Supervision
from studio.run.talk import Talk
from studio.run.waiting import forget_heartbeats, wait_until_healthy

CERTIFICATE_CHECK_SECONDS = 6 * 3600.0
# supervisord ending more often than this within a minute is not an accident any more.
MOST_RESTARTS_PER_MINUTE = 3
REFUSED = 2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """A signal to stop, brought to wherever the program is."""


def run() -> int:
    """0 after a requested stop; 2 when it could not start or stay up, having said why."""
    talk = Talk()
    places = Places(settings.STUDIO_HOME)
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    try:
        check_home(places)
        data.check_settings()
        places.make()
        with only_start(places):
            Foreground(places, talk).run()
    except StudioError as error:
        talk.trouble(error)
        return REFUSED
    except StopRequested:
        talk.say("Stopped.")
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise StopRequested


class Foreground:
    """One run of the installation."""

    def __init__(self, places: Places, talk: Talk) -> None:
        self.places = places
        self.talk = talk
        self.certificates = Certificates(places.tls)
        self.environment = for_parts(os.environ, home=places.home)
        user = "root" if os.geteuid() == 0 else ""
        configuration = parts.supervisord_configuration(places, log_bytes=settings.STUDIO_LOG_BYTES, user=user)
        self.supervision = Supervision(places, environment=self.environment, configuration=configuration)
        self.credentials = people.Credentials.read(places)
        self.ended_at: list[float] = []

    def run(self) -> None:
        """Until a stop is requested (StopRequested) or something cannot be helped (StudioError); nothing runs afterwards."""
        self._take_over_or_check_ports()
        try:
            self._start()
            self._watch()
        finally:
            self.talk.say("Stopping.")
            self.supervision.stop()

    def _take_over_or_check_ports(self) -> None:
        """Raises StartRefused; what an earlier start left running stays as it is then."""
        ports = {"STUDIO_PORT": settings.STUDIO_PORT}
        if self.supervision.adopt():
            self.talk.say("Taking over what an earlier start left running; instances and the gateway stay up.")
            self.supervision.keep_only({parts.ENVOY: self._file(parts.envoy(self.places))})
        if parts.ENVOY not in self.supervision.part_names():
            for name in ("STUDIO_TLS_PORT", "GATEWAY_PORT", "GATEWAY_TLS_PORT"):
                ports[name] = getattr(settings, name)
        check_ports(settings.STUDIO_BIND, ports)

    # --- up

    def _start(self) -> None:
        is_new = not self.places.credentials.exists()
        self.talk.say(f"{'Setting up' if is_new else 'Starting'} the studio in {self.places.home}")
        if not self.supervision.is_alive():
            self.supervision.start()
        self._renew_certificate()
        self.supervision.wait_until_answers()
        self._add_foundations()
        is_first_start = self._prepare_data()
        self._add_django_parts()
        self.talk.say("All parts are starting.")
        self._wait_until_healthy()
        self.talk.say("All parts are up.")
        if sample.is_due(self.places):
            self._deploy_sample()
        elif is_first_start:
            self.talk.say("No sample is deployed.")
        self.talk.announce(self.credentials)

    def _add_foundations(self) -> None:
        """What needs no database: Redis and the gateway."""
        if not env.text("REDIS_URL"):
            file = self.places.supervisor / "redis.conf"
            write_private(str(file), redis_configuration(socket=self.places.redis_socket, data=self.places.redis_data))
            self._add(parts.redis(redis_server_binary(), file))
        publisher().prepare()
        self._add(parts.envoy(self.places))

    def _prepare_data(self) -> bool:
        """Schema, people, static files. True on the first start with this database."""
        applied = data.migrate()
        if applied:
            self.talk.say(f"Database ready ({applied} migrations applied).")
        self._note_addresses()
        is_first_start = people.ensure_people(self.credentials, self.places)
        sample.decide(self.places, is_first_start=is_first_start, is_wanted=settings.STUDIO_SAMPLE)
        return is_first_start

    def _add_django_parts(self) -> None:
        forget_heartbeats(self.supervision)
        for kind in parts.WORKERS:
            self._add(parts.worker(kind))
        self._add(parts.beat(self.places))
        # The web process reads the list of static files once, when it starts.
        data.collect_static(self.places)
        self._add(parts.web(self.places, bind=settings.STUDIO_BIND, port=settings.STUDIO_PORT))

    def _add(self, part: parts.Part) -> None:
        self.supervision.add(part, self._file(part))

    def _file(self, part: parts.Part) -> str:
        return part.configuration(self.places, directory=settings.REPOSITORY, log_bytes=settings.STUDIO_LOG_BYTES)

    def _note_addresses(self) -> None:
        host = settings.STUDIO_HOSTNAME
        self.credentials.studio_url = f"http://{host}:{settings.STUDIO_PORT}"
        self.credentials.studio_tls_url = f"https://{host}:{settings.STUDIO_TLS_PORT}"
        self.credentials.gateway_url = f"http://{host}:{settings.GATEWAY_PORT}"
        self.credentials.gateway_tls_url = f"https://{host}:{settings.GATEWAY_TLS_PORT}"
        self.credentials.ca_file = str(self.certificates.authority)

    def _renew_certificate(self) -> None:
        """The gateway picks up a new one within its repair interval."""
        names = server_names(
            hostname=settings.STUDIO_HOSTNAME, region=settings.STUDIO_REGION, domain=settings.STUDIO_DOMAIN
        )
        if self.certificates.ensure(names, now=datetime.datetime.now(datetime.UTC)):
            self.talk.say(f"Certificate made for {', '.join(names)}.")

    def _wait_until_healthy(self) -> None:
        wait_until_healthy(
            self.supervision, bind=settings.STUDIO_BIND, port=settings.STUDIO_PORT, host=settings.STUDIO_HOSTNAME
        )

    def _deploy_sample(self) -> None:
        self.talk.say("Deploying the sample.")
        sample.deploy(
            self.places,
            self.credentials,
            repository=settings.REPOSITORY,
            environment=self.environment,
            say=self.talk.say,
        )

    # --- staying up

    def _watch(self) -> None:
        while True:
            if not self.supervision.wait_for_end(CERTIFICATE_CHECK_SECONDS):
                self._renew_certificate()
                continue
            self._check_it_is_an_accident()
            self.talk.say("supervisord has ended; starting it and all parts again.")
            end(processes_of(self.places.home), patience_seconds=10.0)
            self.supervision.start()
            self.supervision.wait_until_answers()
            self._add_foundations()
            self._add_django_parts()
            self._wait_until_healthy()
            self.talk.say("All parts are up.")

    def _check_it_is_an_accident(self) -> None:
        now = time.monotonic()
        self.ended_at = [at for at in self.ended_at if now - at < 60.0] + [now]
        if len(self.ended_at) > MOST_RESTARTS_PER_MINUTE:
            raise PartFailed(
                f"supervisord ended {len(self.ended_at)} times within a minute.",
                hint=f"See {self.places.log('supervisord')}.",
            )
