"""Settings of a worker, from the environment (`KOUAN_…`); read when a process starts, never at import."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What every service's process needs to know. Times are in the unit that the name says."""

    model_config = SettingsConfigDict(env_prefix="KOUAN_", extra="ignore")

    bootstrap_servers: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port, comma separated")
    data_dir: Path = Field(Path(".kouan/data"), description="Folder of the SQLite databases")
    database_url: str | None = Field(
        None, description="postgresql://… for PostgreSQL (one schema a service); unset: SQLite in data_dir"
    )
    web_host: str = Field("127.0.0.1", description="Address of health and metrics")
    web_port: int = Field(6066, description="Port of health and metrics")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    batch_size: int = Field(2000, ge=1, le=20_000, description="Records in one transaction at the most")
    cache_entries: int = Field(20_000, ge=100, description="States kept in memory for each task")
    page_cache_mb: int = Field(64, ge=1, description="Pages of the SQLite file kept in memory, in MB")
    session_timeout_ms: int = Field(10_000, ge=1000, description="After this silence a worker loses its tasks")
    park_hours: int = Field(72, ge=1, description="How long an early input waits for what it needs")
    park_limit: int = Field(100, ge=1, description="How many early inputs of one key may wait")
    unexpected_per_minute: int = Field(5, ge=0, description="More unexpected failures than this pause the service")
    effect_concurrency: int = Field(16, ge=1, description="Effects, such as mails, under way at once")

    def database_for(self, service: str) -> str:
        """The database URL of a service: the PostgreSQL one, or its own SQLite file."""
        return self.database_url or f"sqlite:///{(self.data_dir / service).with_suffix('.db').absolute()}"
