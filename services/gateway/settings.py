"""Settings of the gateway, from the environment (`KOUAN_GATEWAY_…`), beside those of every worker."""

from __future__ import annotations

from pydantic import Field

from services.kit.settings import Settings


class GatewaySettings(Settings):
    """What the gateway needs to know besides. Times are in the unit that the name says."""

    gateway_host: str = Field("127.0.0.1", description="Address of the HTTP interface")
    gateway_port: int = Field(8080, ge=0, le=65535, description="Port of the HTTP interface")
    gateway_body_limit: int = Field(8 * 1024 * 1024, ge=1024, description="Bytes of a request to /events at the most")
    gateway_file_limit: int = Field(16 * 1024 * 1024, ge=1024, description="Bytes of a request to /files at the most")
    gateway_file_rows: int = Field(10_000, ge=1, le=100_000, description="Rows of a file at the most")
    gateway_header_limit: int = Field(16 * 1024, ge=1024, description="Bytes of all headers of a request at the most")
    gateway_batch_limit: int = Field(1000, ge=1, le=10_000, description="Events in one batch at the most")
    gateway_read_seconds: float = Field(20.0, gt=0, description="Within this a request has to arrive in full")
    gateway_confirm_seconds: float = Field(20.0, gt=0, description="Within this the broker has to confirm")
    gateway_requests_per_second: float = Field(500.0, gt=0, description="Requests of one party in the long run")
    gateway_burst: int = Field(1000, ge=1, description="Requests of one party at once, after a pause")
    gateway_in_flight: int = Field(500, ge=1, description="Requests that publish, under way at once")
    gateway_answers_hours: int = Field(48, ge=24, description="How long an answer is kept for its Idempotency-Key")
    gateway_key_refresh_seconds: float = Field(1.0, gt=0, description="How soon an added or revoked key takes effect")
