"""The environment above `autopilot.toml`, through pydantic-settings, which is imported by whoever needs it alone."""

from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict


class Environment(BaseSettings):
    """The part of a model of tables that looks for them in the environment; what it is called with comes from the file.

    `AUTOPILOT_MODEL_MAX_TOKENS` is `max_tokens` of `[model]`; a variable that is empty is none.
    """

    model_config = SettingsConfigDict(
        env_prefix="AUTOPILOT_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
        enable_decoding=False,  # a list is for its field to take apart, so that a mistake is said as any other
        extra="ignore",
    )

    @classmethod
    def variables(cls) -> tuple[str, ...]:
        """How the names of the variables that set something here begin; the model of tables says it."""
        return ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, without variables of tables that it may not set, then the file."""
        del settings_cls, dotenv_settings, file_secret_settings
        heads = tuple(head.lower() for head in cls.variables())
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = {k: v for k, v in env_settings.env_vars.items() if k.startswith(heads)}
        return env_settings, init_settings
