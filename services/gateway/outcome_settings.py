"""Settings of the gateway's outcomes half, from the environment (`KOUAN_GATEWAY_…`)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class OutcomeSettings(BaseSettings):
    """What feed, streams and webhooks need to know. Times are in the unit that the name says."""

    model_config = SettingsConfigDict(env_prefix="KOUAN_GATEWAY_", extra="ignore")

    feed_days: float = Field(0, ge=0, description="How long events stay in the feed; 0: for ever")
    feed_hold_minutes: float = Field(
        60, gt=0, description="How long an event waits for its case before it goes to the headquarters alone"
    )
    feed_poll_seconds: float = Field(0.1, gt=0, description="How often the feed is asked for new events")
    feed_page: int = Field(200, ge=1, le=1000, description="Events of one page, where a request names no limit")
    stream_seats: int = Field(2000, ge=1, description="Open streams and waiting requests in all")
    stream_seats_per_party: int = Field(20, ge=1, description="Open streams and waiting requests of one party")
    stream_heartbeat_seconds: float = Field(15, gt=0, description="After this silence a stream tells its cursor")
    stream_stall_seconds: float = Field(30, gt=0, description="A stream that takes nothing for so long is closed")
    stream_minutes: float = Field(60, gt=0, description="A stream is closed after so long: keys are checked anew")
    webhook_master: SecretStr | None = Field(None, description="Secret of 32 characters or more, see webhooks.py")
    webhook_master_file: Path | None = Field(None, description="File that holds it; one of the two")
    webhook_private: bool = Field(False, description="Allow http, and addresses that are not public")
    webhook_timeout_seconds: float = Field(10, gt=0, description="Within this a receiver has to answer")
    webhook_retry_seconds: float = Field(2, gt=0, description="Pause after the first failure; doubles each time")
    webhook_retry_limit_seconds: float = Field(3600, gt=0, description="The longest such pause")
    webhook_give_up_days: float = Field(5, gt=0, description="A webhook that fails for so long is disabled")
    webhook_attempt_days: float = Field(30, gt=0, description="How long attempts stay on record")
