"""Vision-language models behind OpenAI-compatible endpoints, asked within limits, once, and on the books."""

from vgps_models.progress.chat.client import Chat, ChatConfig, ChatError
from vgps_models.progress.chat.ledger import BudgetError
from vgps_models.progress.chat.prompt import Answer, Message, Picture, Prompt

__all__ = ["Answer", "BudgetError", "Chat", "ChatConfig", "ChatError", "Message", "Picture", "Prompt"]
